# For scripts that run unattended, to be sourced: they set `work`, where logs and marks go, and for `of` `runs`, the file that says what runs.

step() { # NAME COMMAND...: work/done-NAME appears when it has ended well, work/failed-NAME when not
  local name=$1
  shift
  "$@" >"$work/$name.log" 2>&1 && touch "$work/done-$name" || { touch "$work/failed-$name"; return 1; }
}
of() { # EXPRESSION of the file `runs`, which is `c`: a line for each item. `derived` is Python that may define more.
  python3 -c "import json, sys
c = json.load(open(sys.argv[1]))
${derived:-}
print(*eval(sys.argv[2]), sep='\n')" "$runs" "$1"
}

#!/bin/bash
# Runs of the encoder that are held to the model they start from, one after the other on one GPU, unattended, until a fixed time; then means of
# weights with the start.
#
#     END=UNIX_TIME ./anchored.sh WORK [config/anchored.json]
#
# WORK holds world/ (build_data.py) and models/ (the teachers under the names in prepare.py). WORK/done-NAME appears when a step has ended well.
set -u
work=$(realpath "$1")
cd "$(dirname "$0")"
runs=$(realpath "${2:-config/anchored.json}")
bundled=${BUNDLED:-$(realpath ../../../models)}
mixing=${MIXING:-170} # seconds kept for the means
export PYTHONUNBUFFERED=1 PYTORCH_ALLOC_CONF=expandable_segments:True

python3 ../sparsity/derive_config.py "${CONFIG:-config/winnow-mini.json}" "$runs" "$work/anchored.json" || exit 1
data=(--config "$work/anchored.json" --data "$work/world")

step() { # NAME COMMAND...
  local name=$1
  shift
  "$@" >"$work/$name.log" 2>&1 && touch "$work/done-$name" || { touch "$work/failed-$name"; return 1; }
}

names=$(python3 -c 'import json, sys; print(*json.load(open(sys.argv[1]))["runs"])' "$runs")
[ -f "$work/prepared/prepared.pt" ] || step prepare python3 prepare.py "${data[@]}" --models "$work/models" --work "$work/prepared" --student "$bundled/winnow-mini" || exit 1
left=$(echo "$names" | wc -w)
means=()
for name in $names; do
  # Every run gets the same part of what is left, less what loading and the last evaluation take.
  seconds=$((($END - $(date +%s) - mixing) / left - ${AROUND:-40}))
  left=$((left - 1))
  mapfile -t settings < <(python3 -c 'import json, sys; print(*json.load(open(sys.argv[1]))["runs"][sys.argv[2]], sep="\n")' "$runs" "$name")
  [ -n "${settings[0]}" ] || settings=()
  step "$name" python3 train.py "${data[@]}" --work "$work/$name" --prepared "$work/prepared" --start "$bundled/winnow-mini" --seconds "$seconds" \
    --set "seconds=$seconds" "${settings[@]}" && means+=("$name")
done
for name in "${means[@]}"; do
  # All at once: the GPU has room for them, and each of them waits for its evaluation sets first.
  step "mean-$name" timeout "$(($END > $(date +%s) ? $END - $(date +%s) : 1))" python3 mix.py "${data[@]}" --models "$bundled/winnow-mini" "$work/$name/latest" \
    --weights .5,.5 .25,.75 0,1 --terms "${TERMS:-277}" --keep 1 --out "$work/mean-$name" &
done
wait
touch "$work/ended-anchored"

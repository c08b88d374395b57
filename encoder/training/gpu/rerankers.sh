#!/bin/bash
# Rerankers from given starts, one after the other on one GPU, unattended, until a fixed time; then means of their weights, all compared on the
# same first hits.
#
#     END=UNIX_TIME ./rerankers.sh WORK [config/rerankers.json]
#
# WORK holds world/ (build_data.py) and models/ (the teachers and the starts). START is the encoder that finds candidates and is a teacher, the
# bundled one by default; hits to reorder are always the bundled one's. RUNS has `runs` by name (`start` and `set`, the settings of reranker.py),
# `means` by name (`models` and `weights`) and `beside`, models to compare with; a model is a run, "bundled" or a name in WORK/models.
# WORK/done-NAME appears when a step has ended well.
set -u
work=$(realpath "$1")
cd "$(dirname "$0")"
runs=$(realpath "${2:-config/rerankers.json}")
bundled=${BUNDLED:-$(realpath ../../../models)}
judging=${JUDGING:-90} # seconds kept for the comparison
name=$(basename "$runs" .json)
export PYTHONUNBUFFERED=1 PYTORCH_ALLOC_CONF=expandable_segments:True

python3 ../sparsity/derive_config.py "${CONFIG:-config/winnow-mini.json}" "$runs" "$work/$name.json" || exit 1
data=(--config "$work/$name.json" --data "$work/world")

. ./steps.sh
path_of() { # MODEL
  case $1 in
    bundled) echo "$bundled/winnow-rerank" ;;
    *) [ -d "$work/$1" ] && echo "$work/$1/latest" || echo "$work/models/$1" ;;
  esac
}

[ -f "$work/done-prepare" ] || step prepare python3 prepare.py "${data[@]}" --models "$work/models" --work "$work/prepared" --student "${START:-$bundled/winnow-mini}" || exit 1
left=$(of 'c["runs"]' | wc -l)
compared=()
for run in $(of 'c["runs"]'); do
  # Every run gets the same part of what is left, less what loading takes.
  seconds=$((($END - $(date +%s) - judging) / left - ${AROUND:-15}))
  left=$((left - 1))
  mapfile -t settings < <(of "c['runs']['$run'].get('set', [])")
  [ -n "${settings[0]}" ] || settings=()
  step "$run" python3 reranker.py "${data[@]}" --models "$work/models" --prepared "$work/prepared" --work "$work/$run" \
    --start "$(path_of "$(of "[c['runs']['$run']['start']]")")" --seconds "$seconds" ${settings[0]:+--set "${settings[@]}"}
  compared+=("$run")
done
for mean in $(of 'c["means"]'); do
  models=()
  for model in $(of "c['means']['$mean']['models']"); do models+=("$(path_of "$model")"); done
  mkdir -p "$work/$mean"
  step "$mean" python3 -c '
import json, sys
from pathlib import Path
import checkpoint
from mix import mean
checkpoint.save(Path(sys.argv[1]), mean([checkpoint.load(Path(path)) for path in sys.argv[3:]], json.loads(sys.argv[2])), {})
' "$work/$mean/latest" "$(of "[c['means']['$mean']['weights']]")" "${models[@]}"
  compared+=("$mean")
done
paths=()
for model in "${compared[@]}" $(of 'c["beside"]'); do
  # A run that failed has no weights; the others are still to be compared.
  path=$(path_of "$model")
  [ -e "$path" ] || [ -f "$path.json" ] && paths+=("$path")
done
step "compare-$name" python3 compare_rerankers.py "${data[@]}" --first "$bundled/winnow-mini" --vector-share "${VECTOR_SHARE:-0.4}" --depths 50 100 \
  --out "$work/$name.jsonl" "${paths[@]}"
touch "$work/ended-$name"

#!/bin/bash
# Runs of the encoder that are held to the model they start from, one after the other on one GPU, unattended, until a fixed time; then means of
# weights.
#
#     END=UNIX_TIME ./anchored.sh WORK [config/anchored.json]
#
# WORK holds world/ (build_data.py) and models/ (the teachers under the names in prepare.py, and what `means` names). START is the model that every
# run begins from and is held to, the bundled one by default. WORK/done-NAME appears when a step has ended well. `means` of the runs' file: by name,
# models (runs, "start", "bundled" or checkpoints in WORK/models) and their weights; without it every run is averaged with the start.
set -u
work=$(realpath "$1")
cd "$(dirname "$0")"
runs=$(realpath "${2:-config/anchored.json}")
bundled=${BUNDLED:-$(realpath ../../../models)}
start=${START:-$bundled/winnow-mini}
mixing=${MIXING:-170} # seconds kept for the means
export PYTHONUNBUFFERED=1 PYTORCH_ALLOC_CONF=expandable_segments:True

python3 ../sparsity/derive_config.py "${CONFIG:-config/winnow-mini.json}" "$runs" "$work/anchored.json" || exit 1
data=(--config "$work/anchored.json" --data "$work/world")

derived='means = c.get("means") or {run: {"models": ["start", run], "weights": [".5,.5", ".25,.75", "0,1"]} for run in c["runs"]}'
. ./steps.sh

[ -f "$work/prepared/prepared.pt" ] || step prepare python3 prepare.py "${data[@]}" --models "$work/models" --work "$work/prepared" --student "$start" || exit 1
if [ -n "$(of 'c["config"]["prepare"].get("web_set", ())')" ] && [ ! -f "$work/done-web-set" ]; then
  step web-set python3 web_set.py "${data[@]}" --models "$work/models" --work "$work/prepared" || exit 1
fi
left=$(of 'c["runs"]' | wc -l)
for name in $(of 'c["runs"]'); do
  # Every run gets the same part of what is left, less what loading and the last evaluation take.
  seconds=$((($END - $(date +%s) - mixing) / left - ${AROUND:-40}))
  left=$((left - 1))
  mapfile -t settings < <(of "c['runs']['$name']")
  [ -n "${settings[0]}" ] || settings=()
  step "$name" python3 train.py "${data[@]}" --work "$work/$name" --prepared "$work/prepared" --start "$start" --seconds "$seconds" \
    --set "seconds=$seconds" "${settings[@]}"
done
for name in $(of 'means'); do
  models=()
  for model in $(of "means['$name']['models']"); do
    case $model in
      bundled) models+=("$bundled/winnow-mini") ;;
      start) models+=("$start") ;;
      *) [ -d "$work/$model" ] && models+=("$work/$model/latest") || models+=("$work/models/$model") ;;
    esac
  done
  mapfile -t weights < <(of "means['$name']['weights']")
  # All at once: the GPU has room for them, and each of them waits for its evaluation sets first.
  step "mean-$name" timeout "$(($END > $(date +%s) ? $END - $(date +%s) : 1))" python3 mix.py "${data[@]}" --models "${models[@]}" \
    --weights "${weights[@]}" --terms "${TERMS:-277}" --keep 1 --out "$work/mean-$name" &
done
wait
touch "$work/ended-anchored"

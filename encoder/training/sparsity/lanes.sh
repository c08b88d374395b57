#!/bin/bash
# Everything of a comparison on a bare machine, unattended, until a fixed time: teachers' scores, then one lane of rows for each GPU.
#
#     END=UNIX_TIME ./lanes.sh WORK [config/lanes.json]
#
# WORK holds world/ (build_data.py) and models/ (the teachers under the names in prepare.py). Results: WORK/out/laneN/results.jsonl.
set -u
work=$(realpath "$1")
cd "$(dirname "$0")"
rows=${2:-config/lanes.json}
bundled=${BUNDLED:-$(realpath ../../../models)}
lanes=${LANES:-2}
export PYTHONUNBUFFERED=1 PYTORCH_ALLOC_CONF=expandable_segments:True

python3 derive_config.py "${CONFIG:-../gpu/config/winnow-mini.json}" "$rows" "$work/config.json" || exit 1
data=(--config "$work/config.json" --data "$work/world" --models "$work/models")
if [ ! -f "$work/prepared/prepared.pt" ]; then
  (cd ../gpu && python3 prepare.py "${data[@]}" --work "$work/prepared" --student "$bundled/winnow-mini") >"$work/prepare.log" 2>&1 || exit 1
fi
for lane in $(seq 0 $((lanes - 1))); do
  CUDA_VISIBLE_DEVICES=$lane python3 compare_methods.py "${data[@]}" --rows "$rows" --prepared "$work/prepared" --bundled "$bundled" \
    --out "$work/out" --lane "$lane" --until "$END" >"$work/lane$lane.log" 2>&1 &
done
wait
touch "$work/ended"

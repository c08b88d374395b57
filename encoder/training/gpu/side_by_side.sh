#!/bin/bash
# The encoder with two outputs and the dense reranker, side by side on one GPU, unattended, until a fixed time.
#
#     END=UNIX_TIME ./side_by_side.sh WORK
#
# WORK holds world/ (build_data.py), models/ (the teachers under the names in prepare.py) and start/a.safetensors (a model with two
# outputs). The run starts from .25 of the bundled winnow-mini and .75 of that model. Everything is decided here: a rented machine
# must not wait for somebody to read figures. WORK/done-NAME appears when a step has ended well.
set -u
work=$(realpath "$1")
cd "$(dirname "$0")"
export PYTHONUNBUFFERED=1 PYTORCH_ALLOC_CONF=expandable_segments:True
config=${CONFIG:-$PWD/config/winnow-mini.json}
bundled=${BUNDLED:-$PWD/../../../models}
data=(--config "$config" --data "$work/world")

# Seconds that are kept at the end: for the means of weights, for the comparison of rerankers.
mixing=${MIXING:-300}
judging=${JUDGING:-90}

left() { echo $(($END - $(date +%s) - $1)); }

. ./steps.sh

start_from_mean() {
  python3 -c '
import sys
from pathlib import Path
import checkpoint
from mix import mean
states = [checkpoint.load(Path(path)) for path in sys.argv[2:]]
checkpoint.save(Path(sys.argv[1]), mean(states, (0.25, 0.75)), {})
' "$work/start/mean" "$bundled/winnow-mini" "$work/start/a.safetensors"
}

encoder() {
  step train python3 train.py "${data[@]}" --work "$work/encoder" --prepared "$work/prepared" --start "$work/start/mean" \
    --seconds 100000 --set "seconds=$(($(left $mixing) - ${EVALUATING:-90}))" lr=${ENCODER_LR:-5e-5} eval_seconds=${EVAL_SECONDS:-200} || return 1
  step soup python3 soup.py "${data[@]}" --work "$work/encoder" --last 1 3 --lower-bias 0 --out "$work/encoder/final"
  # Bundled, the model with two outputs, this run.
  step mix python3 mix.py "${data[@]}" --models "$bundled/winnow-mini" "$work/start/a.safetensors" "$work/encoder/final" --by ndcg10 vector \
    --weights .25,.75,0 0,.5,.5 .2,.4,.4 .1,.3,.6 .25,0,.75 .15,.6,.25 --terms ${TERMS:-277} --keep 1 --out "$work/mix"
  step stages python3 compare_stages.py "${data[@]}" --checkpoint "$work/mix-1"
}

reranker() {
  step reranker python3 reranker.py "${data[@]}" --models "$work/models" --prepared "$work/prepared" --work "$work/reranker" --seconds "$(left $judging)" || return 1
  step judge python3 compare_rerankers.py "${data[@]}" --first "$bundled/winnow-mini" --out "$work/rerankers.jsonl" \
    "$work/reranker/latest" "$bundled/winnow-rerank"
}

step start start_from_mean || exit 1
step prepare python3 prepare.py "${data[@]}" --models "$work/models" --work "$work/prepared" --student "$bundled/winnow-mini" || exit 1
(reranker) &
(encoder) &
wait
touch "$work/ended"

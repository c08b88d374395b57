#!/usr/bin/env bash
# A release from raw texts to measured candidates, unattended on two GPUs:
#
#   release.sh WORK
#
# WORK must contain raw (train/, text/, seed-model/tokenizer.json, msmarco-idf.json.xz: see build_data.py), eval (BEIR
# folders), models (teachers and bodies: import_onnx.py; splade-tiny.safetensors; the relevance teacher that the configs
# name) and start (the released model folder). Results are files in WORK: WORK/progress has one line per finished step,
# WORK/log-STEP has its output.
#
# Runs unattended: a rented GPU must not idle while it waits for a decision. Every choice is either fixed here or run both
# ways.
#
# BASE_SECONDS, MINI_SECONDS: training time of the teacher and of each student. MINI_CONFIG, BASE_CONFIG: other configs
# (tiny.py). WINNOW: a checkout of the project with its packages installed; without it `winnow eval` of the candidates is
# skipped.
set -u
work=$(realpath "$1")
base_seconds=${BASE_SECONDS:-460} mini_seconds=${MINI_SECONDS:-480}
cd "$(dirname "$0")"
export PYTHONUNBUFFERED=1
began=$(date +%s)
mini=${MINI_CONFIG:-config/winnow-mini.json} base=${BASE_CONFIG:-config/winnow-base.json}
data=(--data "$work/world")
prepared=$work/prepared

# step NAME COMMAND...: runs the command, keeps its output and its exit code.
step() {
  local name=$1
  shift
  "$@" > "$work/log-$name" 2>&1
  local code=$?
  echo "$(($(date +%s) - began)) $name $code" >> "$work/progress"
  [ $code -eq 0 ] && touch "$work/done-$name"
  return $code
}
# after QUEUE NAME: waits for a step of another queue; ends this queue if the other one ended without it.
after() {
  until [ -e "$work/done-$2" ] || [ -e "$work/ended-$1" ]; do sleep 0.2; done
  [ -e "$work/done-$2" ] || exit 1
}
queue() {
  ("$1")
  touch "$work/ended-$1"
}

student() { # NAME SETTING...
  local name=$1
  shift
  step "$name" python3 train.py --config $mini "${data[@]}" --work "$work/$name" --prepared "$prepared" --start "$work/start" \
    --seconds 100000 --set "seconds=$mini_seconds" "$@"
}

first_queue() {
  export CUDA_VISIBLE_DEVICES=0
  step warm-base python3 warmup.py --config $base "${data[@]}" --models "$work/models" --work "$work/base" || exit 1
  after second_queue prepare
  step base python3 train.py --config $base "${data[@]}" --work "$work/base" --prepared "$prepared" --start "$work/base/warm" \
    --seconds 100000 --set "seconds=$base_seconds" || exit 1
  step average-base python3 soup.py --config $base "${data[@]}" --work "$work/base" --last 1 2 4 6 --lower-bias 0 --out "$work/base/final" || exit 1
  step base-vectors python3 sparse_teacher.py --name base --checkpoint "$work/base/final" --config $base "${data[@]}" --work "$prepared" || exit 1
  student a "teacher_weights=$all" 'vector_teacher="base"' vector_weight=0.3 control_gain=0 first_penalty=0.03
}

second_queue() {
  export CUDA_VISIBLE_DEVICES=1
  step prepare python3 prepare.py --config $mini "${data[@]}" --models "$work/models" --work "$prepared" || exit 1
  step splade python3 sparse_teacher.py --name splade --checkpoint "$work/models/splade-tiny.safetensors" --encode-queries "${data[@]}" --work "$prepared"
  step cross python3 cross_encoder.py --config $mini "${data[@]}" --models "$work/models" --work "$prepared" || exit 1
  step teachers python3 compare_teachers.py --config $mini "${data[@]}" --models "$work/models" --teachers bge e5 minilm --sparse splade \
    --step 0.2 --cross "$prepared/cross"
  after first_queue base-vectors
  student b "teacher_weights=$all" 'cross_encoder="cross"' cross_weight=0.3 seed=7
}

evaluate() { # NAME...
  for name in "$@"; do
    local folder=$work/candidates/$name
    mkdir -p "$folder"
    python3 -c 'import sys, checkpoint; from pathlib import Path; checkpoint.join(Path(sys.argv[1]), Path(sys.argv[2]))' "$work/$name" "$folder/model.safetensors"
    cp "$work/start/config.json" "$work/start/tokenizer.json" "$folder/"
    (cd "$WINNOW" && node --import tsx cli/main.ts model convert "$folder" "$folder" --idf "$work/start/idf.json" &&
      node --import tsx cli/main.ts eval --config bench/results.yaml --data "$work/eval" --model "$folder" \
        --cache "$folder/cache" --report "$folder/report.json" --markdown "$folder/results.md")
  done
}

all='{"bge":0.28,"e5":0.2,"minilm":0.14,"bm25":0.13,"base":0.25}'
step dev-sets python3 dev_sets.py --data "$work/raw" --config $mini --out "$work/dev" || exit 1
step build python3 build_data.py --data "$work/raw" --eval "$work/eval" --dev "$work/dev" --config $mini --out "$work/world" || exit 1
rm -f "$work"/done-* "$work"/ended-*
queue first_queue &
queue second_queue &
wait
candidates=("$work/start")
for name in a b; do [ -e "$work/done-$name" ] && candidates+=("$work/$name/latest"); done
[ ${#candidates[@]} -gt 1 ] || exit 1
CUDA_VISIBLE_DEVICES=0 step mix python3 mix.py --config $mini "${data[@]}" --models "${candidates[@]}" --step 0.25 --terms 274 --keep 2 --out "$work/mix" || exit 1
[ -z "${WINNOW:-}" ] || step evaluate evaluate mix-1 mix-2

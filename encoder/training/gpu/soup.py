"""Averages snapshots of a run; the last step of training.

    python soup.py --config CONFIG --data DATA --work WORK --last 1 2 3 4 --out WORK/final

Evaluates the mean of the last N snapshots on the development sets (int8 rows) for every given N, and writes the best one with
figures of all sets. The evaluation sets do not affect the choice.
"""

import argparse
import json
from pathlib import Path

import torch

import checkpoint
from evaluate import load_set
from query_weights import QueryWeights
from runtime import Log, pick_device
from train import Judge, means


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("config", "data", "work", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--last", type=int, nargs="+", default=[1, 2, 3, 4])
    parser.add_argument("--steps", type=int, nargs="+", help="average exactly these snapshots instead")
    # bf16 rounds logits near the threshold to zero, float32 does not. Without the shift a document has 3 % more terms in use.
    parser.add_argument("--lower-bias", type=float, default=0.01, help="subtracted from the decoder bias of the written model")
    args = parser.parse_args()
    config = json.loads(args.config.read_text())
    device, dtype = pick_device()
    names = config["data"]["eval_sets"] + config["data"]["dev_sets"]
    judge = Judge(config, {name: load_set(args.data, name, device) for name in names}, QueryWeights.load(args.data, device), dtype, config["train"])
    log = Log(args.work / "soup.jsonl")
    paths = sorted(args.work.glob("snapshot-*.pt"), key=lambda p: int(p.stem.split("-")[1]))
    watched = config["data"]["dev_sets"]
    best = None
    if args.steps:
        paths = [args.work / f"snapshot-{step}.pt" for step in args.steps]
    for count in [len(paths)] if args.steps else args.last:
        states = [torch.load(p, map_location=device) for p in paths[-count:]]
        mean = {name: sum(s[name].float() for s in states) / len(states) for name in states[0]}
        figures = judge(mean, watched)
        score = means(figures)["ndcg10"]
        log(averaged=len(states), mean=means(figures), **figures)
        if best is None or score > best[0]:
            best = (score, len(states), mean)
    figures = judge(best[2])
    reported = {name: figures[name] for name in config["data"]["eval_sets"]}
    log(chosen=best[1], mean=means(reported), **reported)
    best[2]["cls.predictions.bias"] -= args.lower_bias
    checkpoint.save(args.out, best[2], {"model": config["model"], "averaged": best[1], "figures": figures})


if __name__ == "__main__":
    main()

"""Weighted means of models that started from the same weights, each within a budget of terms; keeps the best few.

    python mix.py --config CONFIG --data DATA --models RELEASE RUN-A/latest RUN-B/final --step 0.25 --terms 274 --keep 2 --out WORK/mix

Every point of the grid of weights, or every one of --weights, is one mean. A mean of separately trained models has more terms on than either, so its
decoder bias is lowered until the size set is within the budget: candidates are compared at equal cost. They are chosen on
the development sets; figures of the others are only reported. The best are written as OUT-1, OUT-2, ...
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import torch

import checkpoint
import losses
from evaluate import load_set, set_names
from query_weights import QueryWeights
from runtime import Log, pick_device
from train import Judge, means

State = dict[str, torch.Tensor]
BIAS = "cls.predictions.bias"


def mean(states: list[State], weights: tuple[float, ...]) -> State:
    """The weighted mean. A tensor that only some of the states have (a second output) becomes the mean of those."""
    out = {}
    for name in dict.fromkeys(name for state in states for name in state):
        parts = [(weight, state[name].float()) for weight, state in zip(weights, states) if name in state]
        total = sum(weight for weight, _ in parts)
        # Only states of weight 0 have it: their unweighted mean keeps the output usable.
        out[name] = sum((weight / total if total > 0 else 1 / len(parts)) * value for weight, value in parts)
    return out


def cut(state: State, terms_of: Callable[[State], float], budget: float, precision: float = 0.005) -> tuple[State, float]:
    """The state with its decoder bias lowered by the least multiple of `precision` that keeps `terms_of` within `budget`, and that multiple."""
    lowered = lambda steps: {**state, BIAS: state[BIAS] - steps * precision}  # noqa: E731
    if terms_of(state) <= budget:
        return state, 0.0
    high = 1
    while terms_of(lowered(high)) > budget:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if terms_of(lowered(middle)) <= budget else (middle, high)
    return lowered(high), high * precision


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("config", "data", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="checkpoints or model folders")
    parser.add_argument("--step", type=float, default=0.25)
    parser.add_argument("--weights", nargs="+", help="these means only, such as .25,.75,0: one weight per model")
    parser.add_argument("--by", nargs="+", default=["ndcg10"], help="figures whose mean over the development sets decides (evaluate.py)")
    parser.add_argument("--terms", type=float, required=True, help="most terms per document of the size set")
    parser.add_argument("--keep", type=int, default=2)
    args = parser.parse_args()
    config = json.loads(args.config.read_text())
    size_set = config["train"]["size_set"]
    device, dtype = pick_device()
    judge = Judge(config, {name: load_set(args.data, name, device) for name in set_names(config)}, QueryWeights.load(args.data, device), dtype, config["train"])
    log = Log(Path(f"{args.out}.jsonl"))
    states = [{name: value.to(device) for name, value in checkpoint.load(path).items()} for path in args.models]
    found = []
    tried = [tuple(map(float, text.split(","))) for text in args.weights] if args.weights else losses.grid(len(states), args.step)
    for weights in tried:
        state, lower = cut(mean(states, weights), lambda s: judge(s, [size_set])[size_set]["terms"], args.terms)
        figures = judge(state)
        by_kind = {kind: means({name: figures[name] for name in config["data"][kind]}) for kind in ("dev_sets", "eval_sets")}
        score = sum(by_kind["dev_sets"][key] for key in args.by) / len(args.by)
        log(weights=weights, lower=round(lower, 3), mean=round(score, 4), **by_kind, **figures)
        found = sorted([*found, (score, weights, lower, figures, state)], key=lambda row: -row[0])[: args.keep]
    for rank, (score, weights, lower, figures, state) in enumerate(found, 1):
        meta = {"model": config["model"], "weights": weights, "lower": lower, "mean": score, "figures": figures}
        checkpoint.save(Path(f"{args.out}-{rank}"), state, meta)


if __name__ == "__main__":
    main()

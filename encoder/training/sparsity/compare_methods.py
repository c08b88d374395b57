"""Rows of a comparison, one after the other on one task: training-free masks, trained masks, averages, allocations.

    python compare_methods.py --config ../gpu/config/winnow-mini.json --rows config/rows.json --data DATA --models MODELS \
        --prepared WORK --parent RUN/latest --first ../../../models/winnow-mini --out OUT [--until UNIX_TIME]

A row is skipped if OUT has its result, so a comparison that was stopped goes on. OUT/results.jsonl has a line per row: nDCG@10 by set
at the share that is best on the development sets, as compare_rerankers.py has it, what the zeros of each matrix amount to, and seconds.
OUT/NAME.part*.safetensors is the model of a row, int8 rows with exact zeros, for `winnow model convert` (checkpoint.join).
"""

import argparse
import json
import random
import time
import traceback
from pathlib import Path

import torch

import recipe  # noqa: F401
import checkpoint
from allocation import Allocation, Costs, Space, evo_press, random_search
from compare_rerankers import FirstHits, built, summary
from evaluate import load_model, load_set
from fitness import Distance, PrunedParent
from patterns import assign, described, holds
from query_weights import QueryWeights
from runtime import Log
from sparse_soup import average
from teachers import load_cross_encoder
from train import World
from train_sparse import Task, cross_encoder, pruned, trained, write


class Judge:
    """First hits of every set, found once for all rows."""

    def __init__(self, config: dict, data: Path, first: Path, world: World):
        self.config, self.world = config, world
        names = config["data"]["eval_sets"] + config["data"]["dev_sets"]
        weights = QueryWeights.load(data, world.device)
        model = load_model(first, config["model"], world.device, world.dtype)
        self.hits = {name: FirstHits.of(model, load_set(data, name, world.device), weights) for name in names}
        self.shape = config["prepare"]["relevance"]["model"]

    def __call__(self, state: dict[str, torch.Tensor], names: list[str] | None = None) -> dict:
        """Figures of a state dict, rounded to int8 rows. `names`: some of the sets only."""
        model = built(state, self.shape, self.world.device, self.world.dtype)
        by_set = {name: hits.reordered(model) for name, hits in self.hits.items() if names is None or name in names}
        kinds = {kind: [n for n in self.config["data"][kind] if n in by_set] for kind in ("dev_sets", "eval_sets")}
        return summary(by_set, {kind: found for kind, found in kinds.items() if found})


def searched(task: Task, row: dict) -> tuple[dict[str, torch.Tensor], dict]:
    """Uniform, EvoPress and random search under one budget -> the state of `row["search"]` and what all of them found."""
    s = {**task.config["sparsity"]["search"], **row.get("with", {})}
    config = task.shape
    costs = Costs.of(s["milliseconds"], s["layer_ms"], config["hidden_size"], config["intermediate_size"])
    layers = len(task.parent.bert.encoder.layer)
    space = Space(layers, costs, 0.0, s["drops"], random.Random(task.config["seed"] + row.get("seed", 0)))
    space.budget = s["budget_of_dense"] * costs(space.uniform("dense"))
    pool = PrunedParent(cross_encoder(task.parent_state, config, task.world.device, task.world.dtype), costs.ladder("qkv"), task.statistics, s["masks"])
    inputs = task.pairs(s["stages"][-1][1], task.config["seed"] + 12, s["queries"])
    distance = Distance(pool, task.parent, inputs, task.settings["docs_per_query"], task.settings["temperature"])
    last, found, began = s["stages"][-1][1], {}, time.time()
    uniform = space.best_uniform()
    found["uniform"] = (uniform, distance(uniform, last), last)
    found["evopress"] = evo_press(space, distance, s["generations"], s["offspring"], [tuple(stage) for stage in s["stages"]])
    found["random"] = random_search(space, distance, found["evopress"][2], last)
    told = {
        name: {"kl": round(kl, 5), "batches": seen, "ms": round(costs(a), 3), "levels": a.levels, "patterns": a.patterns(), "dropped": [i for i, gone in enumerate(a.dropped) if gone]}
        for name, (a, kl, seen) in found.items()
    }
    chosen: Allocation = found[row["search"]][0]
    state = pool.state(chosen)
    names = {name: task.parent_state[name] for name in task.parent_state}
    if not any(chosen.dropped):  # Full precision where the working copy has rounded.
        state = {name: names[name].to(value.device) * (value != 0) if value.dim() == 2 else names[name].to(value.device) for name, value in state.items()}
    return state, {"budget_ms": round(space.budget, 3), "search_seconds": round(time.time() - began, 1), "patterns": chosen.patterns(), "found": told}


def best_of(results: dict[str, dict], names: list[str]) -> dict:
    """The row among `names` with the best mean over the development sets, at its own share."""
    done = [results[n] for n in names if n in results]
    if not done:
        raise ValueError(f"none of {names} has a result")
    return max(done, key=lambda r: max(r["dev_sets"]))["row"]


class Comparison:
    def __init__(self, task: Task, judge: Judge, out: Path, until: float):
        self.task, self.judge, self.out, self.until = task, judge, out, until
        self.results = {}
        if (out / "results.jsonl").exists():
            lines = map(json.loads, (out / "results.jsonl").read_text().splitlines())
            self.results = {line["row"]["name"]: line for line in lines if "row" in line}
        self.result_log = Log(out / "results.jsonl")

    def state_of(self, name: str) -> dict[str, torch.Tensor]:
        state = self.task.parent_state if name == "parent" else checkpoint.load(self.out / name)
        return {key: value.to(self.task.world.device) for key, value in state.items()}

    def resolved(self, row: dict) -> dict:
        """`like_best_of` takes what the row does not say from the best of other rows, `patterns_of` ("evopress", "random", "uniform") the
        patterns that a search before it found; `seconds` is cut to the time that is left."""
        if "like_best_of" in row:
            best = best_of(self.results, row["like_best_of"])
            row = {**best, **row, "set": {**best.get("set", {}), **row.get("set", {})}, "took": best["name"]}
            del row["like_best_of"]
        if "patterns_of" in row:
            found = next(result["found"] for result in self.results.values() if "found" in result)
            row = {**row, "patterns": found[row["patterns_of"]]["patterns"]}
        if "seconds" in row:
            left = self.until - time.time() - row.get("reserve", 25)
            row = {**row, "seconds": round(min(row["seconds"], left), 1)}
        return row

    def model(self, row: dict) -> tuple[dict[str, torch.Tensor], dict]:
        if "average" in row:
            return average([self.state_of(name) for name in row["average"]]), {}
        if "search" in row:
            return searched(self.task, row)
        if "seconds" in row:
            save = (lambda state: write(self.out / f"{row['name']}-so-far", state, row, self.task)) if row.get("keep") else None
            return trained(self.task, row, self.state_of(row.get("start", "parent")), save), {}
        if row.get("masks"):
            return pruned(self.task, row), {}
        return self.state_of(row.get("start", "parent")), {}

    def __call__(self, row: dict) -> None:
        if row["name"] in self.results:
            return
        began = time.time()
        row = self.resolved(row)
        if row.get("seconds", 99) < row.get("least", 10) or time.time() > self.until:
            self.task.log(row=row["name"], skipped="no time left")
            return
        state, told = self.model(row)
        patterns = assign(list(state), row.get("patterns", told.get("patterns", {})))
        if row.get("ratios") is None:
            broken = [name for name, pattern in patterns.items() if not holds(state[name], pattern)]
            if broken:
                raise ValueError(f"{row['name']}: the pattern does not hold in {broken}")
        took = time.time() - began
        if row.get("keep") or "search" in row:
            write(self.out / row["name"], state, row, self.task)
        figures = self.judge(state, self.task.config["sparsity"]["few_sets"] if row.get("few") else None)
        zeros = described(checkpoint.fake_quantized(state))
        result = {"row": row, **figures, "seconds": round(took, 1), "evaluated_in": round(time.time() - began - took, 1), "zeros": zeros, **told}
        self.results[row["name"]] = result
        self.result_log(**result)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("config", "rows", "data", "models", "prepared", "parent", "first", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--until", type=float, default=float("inf"), help="no row starts after this time, and training ends before it")
    args = parser.parse_args()
    rows = json.loads(args.rows.read_text())
    config = {**json.loads(args.config.read_text()), "sparsity": rows["sparsity"]}
    args.out.mkdir(parents=True, exist_ok=True)
    log = Log(args.out / "log.jsonl")
    world = World({**config, "data": {**config["data"], "eval_sets": [], "dev_sets": []}}, args.data, args.prepared)
    relevance = config["prepare"]["relevance"]
    judge = load_cross_encoder(args.models / relevance["teacher"], relevance["model"], world.device, world.dtype)
    task = Task(world, config, judge, checkpoint.load(args.parent), log)
    log(ready="task")
    comparison = Comparison(task, Judge(config, args.data, args.first, world), args.out, args.until)
    log(ready="first hits")
    for row in rows["rows"]:
        try:
            comparison(row)
        except Exception:
            # A row that fails must not cost the rows after it: the machine is lent for minutes.
            log(row=row["name"], failed=traceback.format_exc())


if __name__ == "__main__":
    main()

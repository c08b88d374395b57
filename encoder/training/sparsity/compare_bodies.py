"""Rows of sparse bodies of one document encoder, one after the other, each beside the dense encoder by the same evaluator.

    python compare_bodies.py --config ../gpu/config/winnow-mini.json --rows config/bodies.json --data DATA --dense ../../../models/winnow-mini \
        --out OUT [--until UNIX_TIME]

A row is skipped if OUT has its result. OUT/results.jsonl has a line per row: nDCG@10 by set of the terms alone and with the vector at the model's own
share, terms per document, the distance from the dense encoder on held-out passages, and what the zeros of each matrix amount to.
OUT/NAME.part*.safetensors is the model of a row with `keep`, int8 rows with exact zeros, for `winnow model convert` (checkpoint.join).
A row with `terms_of_dense` lowers the decoder's bias at the end until held-out passages have no more terms than the dense encoder gives them.
"""

import argparse
import json
import random
import time
from pathlib import Path

import torch

import recipe  # noqa: F401
import checkpoint
from allocation import Allocation, Costs, Space, evo_press
from encoder_body import BodyTask, State, TermDistance, distilled, held_out, held_out_terms
from evaluate import load_set, set_names
from fitness import PrunedParent
from mix import cut
from patterns import assign, described, holds
from query_weights import QueryWeights
from runtime import Log, pick_device
from tokens import TokenTable
from train import Judge, means
from train_sparse import pruned
from unattended import known_results, run_rows


def searched(task: BodyTask, row: dict) -> dict:
    """EvoPress under the row's budget -> the patterns it found, their milliseconds and distance, beside the uniform allocation's."""
    s = {**task.config["sparsity"]["search"], **row.get("with", {})}
    config, began = task.config["model"], time.time()
    costs = Costs.of(s["milliseconds"], s["layer_ms"], config["hidden_size"], config["intermediate_size"])
    space = Space(config["num_hidden_layers"], costs, 0.0, 0, random.Random(task.config["seed"] + row.get("seed", 0)))
    dense = costs(space.uniform("dense"))
    space.budget = s["budget_of_dense"] * dense
    pool = PrunedParent(task.encoder(task.dense_state), costs.ladder("qkv"), task.statistics, s["masks"])
    distance = TermDistance(pool, task, task.batches(s["stages"][-1][1], task.config["seed"] + 12))
    last = s["stages"][-1][1]
    chosen, found, seen = evo_press(space, distance, s["generations"], s["offspring"], [tuple(stage) for stage in s["stages"]])
    told = lambda a: {"ms": round(costs(a), 3), "of_dense": round(costs(a) / dense, 3), "distance": round(distance(a, last), 5), "levels": a.levels}  # noqa: E731
    # What each gene costs alone, to compare with.
    alone = {}
    for layer in range(space.layers):
        for gene, level in ((g, "4:16") for g in range(len(costs.genes))):
            levels = [list(r) for r in space.uniform("dense").levels]
            levels[layer][gene] = level
            a = Allocation(tuple(map(tuple, levels)), (False,) * space.layers)
            alone[f"{layer}.{list(costs.genes)[gene]}"] = round(distance(a, last), 5)
    return {
        "patterns": chosen.patterns(), "evopress": told(chosen), "uniform": told(space.best_uniform()), "alone_at_4:16": alone,
        "batches": seen, "search_seconds": round(time.time() - began, 1),
    }  # fmt: skip


class Comparison:
    def __init__(self, task: BodyTask, judge: Judge, out: Path, until: float):
        self.task, self.judge, self.out, self.until = task, judge, out, until
        path = out / "results.jsonl"
        self.results = known_results(path)
        self.result_log = Log(path)

    def resolved(self, row: dict) -> dict:
        """`like_nearest_of`: the settings of the row among these that is nearest to the dense encoder. `patterns_of`: what that search found.
        A row with `least` may be cut to the time that is left."""
        if "like_nearest_of" in row:
            done = [self.results[name] for name in row["like_nearest_of"] if name in self.results]
            best = min(done, key=lambda r: r["held_out"]["terms"] + r["held_out"]["vector"] + r["held_out"]["query_vector"])["row"] if done else {"name": None}
            row = {**row, "set": {**best.get("set", {}), **row.get("set", {})}, "took": best["name"]}
        if "patterns_of" in row:
            row = {**row, "patterns": self.results[row["patterns_of"]]["patterns"]}
        if "seconds" in row:
            left = self.until - time.time() - self.task.settings["reserve"]
            if left < row.get("least", row["seconds"]):
                raise TimeoutError("no time left")
            row = {**row, "seconds": round(min(row["seconds"], left), 1)}
        return row

    def start(self, row: dict) -> State:
        """The dense encoder, or the model of an earlier row: the first of `start` that was kept."""
        for name in row.get("start", ()):
            if (self.out / f"{name}.json").exists():
                return {key: value.to(self.task.world.device) for key, value in checkpoint.load(self.out / name).items()}
        return self.task.dense_state

    def model(self, row: dict) -> State:
        if "seconds" in row:
            return distilled(self.task, row, self.start(row))
        return pruned(self.task, row) if row.get("masks") else self.start(row)

    def within_dense_terms(self, state: State) -> tuple[State, float]:
        """The state with its decoder bias lowered, and by how much."""
        terms_of = lambda s: held_out_terms(self.task, s, self.task.settings["held_out_batches"])  # noqa: E731
        return cut(state, terms_of, terms_of(self.task.dense_state))

    def __call__(self, row: dict) -> None:
        if row["name"] in self.results:
            return
        began = time.time()
        row = self.resolved(row)
        if row.get("search"):
            result = {"row": row, **searched(self.task, row)}
        else:
            state = self.model(row)
            patterns = assign(list(state), row.get("patterns", {}))
            broken = [name for name, pattern in patterns.items() if not holds(state[name], pattern)]
            if broken:
                raise ValueError(f"{row['name']}: the pattern does not hold in {broken}")
            took = time.time() - began
            lowered = {}
            if row.get("terms_of_dense"):
                before, (state, lower) = self.figures(state, row), self.within_dense_terms(state)
                lowered = {"lower": round(lower, 3), "before": before}
            if row.get("keep"):
                checkpoint.save(self.out / row["name"], state, {"model": self.task.config["model"], "row": row})
            result = {"row": row, "seconds": round(took, 1), **lowered, **self.figures(state, row), "zeros": described(checkpoint.fake_quantized(state)) if patterns else {}}
        self.results[row["name"]] = result
        self.result_log(**result)

    def figures(self, state: State, row: dict) -> dict:
        told = {"held_out": held_out(self.task, state, self.task.settings["held_out_batches"])}
        if row.get("probe"):
            return told
        by_set = self.judge(state)
        data = self.task.config["data"]
        return {**told, **{kind: means({name: by_set[name] for name in data[kind]}) for kind in ("dev_sets", "eval_sets")}, **by_set}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("config", "rows", "data", "dense", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--until", type=float, default=float("inf"), help="no row starts after this time, and training ends before it")
    args = parser.parse_args()
    rows = json.loads(args.rows.read_text())
    config = {**json.loads(args.config.read_text()), "sparsity": rows["sparsity"]}
    config["model"] = {**config["model"], "token_table": 0}
    args.out.mkdir(parents=True, exist_ok=True)
    log = Log(args.out / "log.jsonl")
    device, dtype = pick_device()
    weights = QueryWeights.load(args.data, device)
    docs = TokenTable.load(args.data / "docs.npz").to(device)
    queries = TokenTable.load(args.data / "queries.npz").to(device) if rows["sparsity"]["settings"].get("real_queries") else None
    task = BodyTask(config, checkpoint.load(args.dense), docs, weights.idf, weights.continues, device, dtype, log, queries)
    log(ready="task", spans=task.spans.rows, passages=[len(r) for r in task.rows])
    sets = {name: load_set(args.data, name, device) for name in set_names(config)}
    settings = {"cosine_weight": 1.0, "anchor_weight": 0.0, "vector_share": task.settings["vector_share"]}
    comparison = Comparison(task, Judge(config, sets, weights, dtype, settings), args.out, args.until)
    log(ready="sets")
    run_rows(rows["rows"], comparison, log)


if __name__ == "__main__":
    main()

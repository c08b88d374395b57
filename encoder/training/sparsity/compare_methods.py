"""Rows of a comparison, one after the other on one task: training-free masks, trained masks, averages, allocations.

    python compare_methods.py --config ../gpu/config/winnow-mini.json --rows config/rows.json --data DATA --models MODELS \
        --prepared WORK --bundled ../../../models --out OUT --lane 0 [--parent RUN/latest] [--until UNIX_TIME]

Rows have a `lane`; each lane is a process with a GPU, and writes to OUT/laneN. Without --parent the dense parent is a row like others: rows with
`adopt` wait for that row's model and compare everything after them with it. A row is skipped if OUT has its result, so a comparison that was stopped goes on. OUT/results.jsonl has a line per row: nDCG@10 by set
at the share that is best on the development sets, as compare_rerankers.py has it, what the zeros of each matrix amount to, and seconds.
OUT/NAME.part*.safetensors is the model of a row, int8 rows with exact zeros, for `winnow model convert` (checkpoint.join).
"""

import argparse
import json
import random
import time
from pathlib import Path

import torch

import recipe  # noqa: F401
import checkpoint
from activations import Thresholds, units_used
from allocation import Allocation, Costs, Space, evo_press, random_search
from compare_rerankers import FirstHits, summary
from evaluate import load_model, load_set, zscored
from fitness import Distance, PrunedParent
from patterns import assign, described, holds
from query_weights import QueryWeights
from reranker import evenly_spaced
from runtime import Log
from sparse_soup import average
from structure import early_state
from teachers import load_cross_encoder
from train import World
from train_sparse import Task, cross_encoder, pruned, trained, without_layers, write
from unattended import known_results, run_rows
from wide import widened


class Judge:
    """First hits of every set, found once for all rows."""

    def __init__(self, config: dict, data: Path, first: Path, world: World):
        self.config, self.world = config, world
        names = config["data"]["eval_sets"] + config["data"]["dev_sets"]
        weights = QueryWeights.load(data, world.device)
        model = load_model(first, config["model"], world.device, world.dtype)
        self.hits = {name: FirstHits.of(model, load_set(data, name, world.device), weights) for name in names}
        # Sets with typing errors are there if DATA has them (typos.py).
        for name in names:
            if (data / f"eval-{name}-typos.npz").exists():
                self.hits[f"{name}-typos"] = FirstHits.of(model, load_set(data, f"{name}-typos", world.device), weights)
        self.shape = config["prepare"]["relevance"]["model"]

    def sets(self, row: dict) -> dict[str, FirstHits]:
        few = self.config["sparsity"]["few_sets"] if row.get("few") else None
        return {
            name: hits
            for name, hits in self.hits.items()
            if (few is None or name.removesuffix("-typos") in few) and (row.get("typos") or not name.endswith("-typos"))
        }

    def summed(self, by_set: dict[str, list[float]]) -> dict:
        kinds = {kind: [n for n in self.config["data"][kind] if n in by_set] for kind in ("dev_sets", "eval_sets")}
        return summary(by_set, {kind: found for kind, found in kinds.items() if found})

    def model(self, state: dict[str, torch.Tensor], row: dict):
        """Rounded to int8 rows."""
        return cross_encoder(checkpoint.fake_quantized(state), self.shape, self.world.device, self.world.dtype, row).eval().requires_grad_(False)

    def __call__(self, state: dict[str, torch.Tensor], row: dict, task: Task) -> dict:
        """Figures of a state dict, as the row says how it is run."""
        model, told = self.model(state, row), {}
        if "thresholds" in row:
            active = Thresholds(model, task.pairs(4, task.config["seed"] + 13), **row["thresholds"])
        if "early_drop" in row:
            return self.dropping(model, row, task)
        figures = self.summed({name: hits.reordered(model) for name, hits in self.sets(row).items()})
        if "thresholds" in row:
            told["zeros_of_inputs"] = active.measured()
        if "activate" in row:
            told["units_used"] = units_used(model, task.pairs(2, task.config["seed"] + 14))
        return {**figures, **told}

    def dropping(self, model, row: dict, task: Task) -> dict:
        """`early_drop`: {"after": layers, "keep": [hits, ...]}: only the hits that come first after those layers get a logit; figures by hits kept."""
        after, keep = row["early_drop"]["after"], row["early_drop"]["keep"]
        early = self.model(early_state(model, task.pairs(24, task.config["seed"] + 15), after), {})
        by_keep: dict[int, dict[str, list[float]]] = {count: {} for count in keep}
        for name, hits in self.sets(row).items():
            first, whole = hits.logits(early), hits.logits(model)
            # Which to keep is decided as the final order is: by both stages.
            mixed = torch.where(hits.scores.isfinite(), (1 - row["early_drop"]["share"]) * hits.scores + row["early_drop"]["share"] * zscored(first), -torch.inf)
            for count in keep:
                least = mixed.topk(min(count, mixed.shape[1]), dim=1).values[:, -1:]
                by_keep[count][name] = hits.figures(torch.where(mixed >= least, whole, -torch.inf))
        figures = {str(count): self.summed(by_set) for count, by_set in by_keep.items()}
        return {"kept_hits": figures, **figures[str(keep[0])]}


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
    def __init__(self, task: Task, judge: Judge, out: Path, until: float, starts: dict[str, Path]):
        """starts: models that rows may start from besides those of other rows."""
        self.task, self.judge, self.out, self.until, self.starts = task, judge, out, until, starts
        path = out / "results.jsonl"
        self.results = known_results(path)
        self.result_log = Log(path)

    def state_of(self, name: str) -> dict[str, torch.Tensor]:
        """`parent`, a name of `starts` ("teacher/6": six of its layers), or a row of this lane."""
        base, _, layers = name.partition("/")
        state = self.task.parent_state if name == "parent" else checkpoint.load(self.starts.get(base, self.out / name))
        state = evenly_spaced(state, int(layers)) if base == "teacher" else state
        return {key: value.to(self.task.world.device) for key, value in state.items()}

    def adopt(self, row: dict) -> None:
        """Waits until another lane has written the model."""
        path = self.out / row["adopt"]
        while not Path(f"{path}.json").exists() and time.time() < self.until:
            time.sleep(0.5)
        self.task.adopt({key: value.to(self.task.world.device) for key, value in checkpoint.load(path).items()})
        self.task.log(adopted=row["adopt"])

    def resolved(self, row: dict) -> dict:
        """`like_best_of` takes what the row does not say from the best of other rows, `patterns_of` ("evopress", "random", "uniform") the
        patterns that a search (`search_row`) before it found. A row with `least` may be cut to the time that is left."""
        if "like_best_of" in row:
            best = best_of(self.results, row["like_best_of"])
            row = {**best, **row, "set": {**best.get("set", {}), **row.get("set", {})}, "took": best["name"]}
            del row["like_best_of"]
        if "patterns_of" in row:
            found = self.results[row["search_row"]]["found"][row["patterns_of"]]
            row = {**row, "patterns": found["patterns"], "drop_layers": found["dropped"], "ms": found["ms"]}
        if "seconds" in row:
            left = self.until - time.time() - row.get("reserve", 15)
            if "least" in row:
                row = {**row, "seconds": round(min(row["seconds"], left), 1)}
            if left < row.get("least", row["seconds"]):
                raise TimeoutError("no time left")
        return row

    def start(self, row: dict) -> dict[str, torch.Tensor]:
        state = without_layers(self.state_of(row.get("start", "parent")), row.get("drop_layers", []))
        return widened(state, row["wide"]) if "wide" in row else state

    def model(self, row: dict) -> tuple[dict[str, torch.Tensor], dict]:
        if "average" in row:
            return average([self.state_of(name) for name in row["average"]]), {}
        if "search" in row:
            return searched(self.task, row)
        if "seconds" in row:
            save = (lambda state: write(self.out / f"{row['name']}-so-far", state, row, self.task)) if row.get("keep") else None
            return trained(self.task, row, self.start(row), save), {}
        if row.get("masks"):
            return pruned(self.task, row), {}
        return self.start(row), {}

    def __call__(self, row: dict) -> None:
        if "adopt" in row:
            return self.adopt(row)
        if row["name"] in self.results:
            return
        began = time.time()
        if began > self.until:
            raise TimeoutError("no time left")
        row = self.resolved(row)
        state, told = self.model(row)
        patterns = assign(list(state), row.get("patterns", told.get("patterns", {})))
        if row.get("ratios") is None:
            broken = [name for name, pattern in patterns.items() if not holds(state[name], pattern)]
            if broken:
                raise ValueError(f"{row['name']}: the pattern does not hold in {broken}")
        took = time.time() - began
        if row.get("keep"):
            write(self.out / row["name"], state, row, self.task)
        figures = self.judge(state, row, self.task)
        zeros = described(checkpoint.fake_quantized(state)) if patterns else {}
        result = {"row": row, **figures, "seconds": round(took, 1), "evaluated_in": round(time.time() - began - took, 1), "zeros": zeros, **told}
        self.results[row["name"]] = result
        self.result_log(**result)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("config", "rows", "data", "models", "prepared", "bundled", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--parent", type=Path, help="the dense model that rows are compared with; without it six layers of the teacher, until a row adopts one")
    parser.add_argument("--lane", type=int, default=0)
    parser.add_argument("--until", type=float, default=float("inf"), help="no row starts after this time, and training ends before it")
    args = parser.parse_args()
    rows = json.loads(args.rows.read_text())
    config = {**json.loads(args.config.read_text()), "sparsity": rows["sparsity"]}
    out = args.out / f"lane{args.lane}"
    out.mkdir(parents=True, exist_ok=True)
    log = Log(out / "log.jsonl")
    world = World({**config, "data": {**config["data"], "eval_sets": [], "dev_sets": []}}, args.data, args.prepared)
    relevance = config["prepare"]["relevance"]
    teacher = args.models / relevance["teacher"]
    judge = load_cross_encoder(teacher, relevance["model"], world.device, world.dtype)
    parent = checkpoint.load(args.parent) if args.parent else evenly_spaced(checkpoint.load(teacher), config["reranker"]["layers"])
    task = Task(world, config, judge, {name: value.to(world.device) for name, value in parent.items()}, log)
    log(ready="task")
    starts = {"teacher": teacher, "bundled": args.bundled / "winnow-rerank"}
    comparison = Comparison(task, Judge(config, args.data, args.bundled / "winnow-mini", world), out, args.until, starts)
    log(ready="first hits")
    run_rows((row for row in rows["rows"] if row.get("lane", 0) in (args.lane, "all")), comparison, log)


if __name__ == "__main__":
    main()

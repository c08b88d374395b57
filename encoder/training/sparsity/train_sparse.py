"""One sparse reranker from a dense parent: masks, a method, seconds of training -> the state dict whose zeros have the patterns."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

import recipe  # noqa: F401
import checkpoint
from activations import make_sparse
from batches import Batches
from calibration import InputStatistics, input_statistics
from cast import Cast
from method import Matrix, Method
from methods import METHODS
from model import CrossEncoder
from objective import SparseReranking
from optimizer import MasterAdamW, cosine
from patterns import Pattern, assign
from ratios import with_ratios
from reranker import LAYER, layers_of, with_neighbours
from runtime import Log
from scores import masks
from structure import StructuredCrossEncoder
from tokens import pairs
from train import World
from wide import intermediate_size


def depth(state: dict[str, torch.Tensor]) -> int:
    return 1 + max(int(name.removeprefix(LAYER).split(".")[0]) for name in state if name.startswith(LAYER))


def without_layers(state: dict[str, torch.Tensor], dropped: list[int]) -> dict[str, torch.Tensor]:
    """The layers that stay are numbered from 0."""
    kept = [i for i in range(depth(state)) if i not in dropped]
    return layers_of(state, kept) if dropped else state


def cross_encoder(state: dict[str, torch.Tensor], shape: dict, device, dtype, row: dict = {}) -> CrossEncoder:
    """A model of the depth and width that the state has, for training or as a teacher. `row` may ask for a `structure` (structure.py) and for
    sparse feed-forward layers (`activate`, activations.py)."""
    shape = {**shape, "num_hidden_layers": depth(state), "intermediate_size": intermediate_size(state), "pooler": "bert.pooler.dense.weight" in state}
    model = StructuredCrossEncoder(shape, **row["structure"]) if "structure" in row else CrossEncoder(shape)
    model.load_state_dict(state)
    if "activate" in row:
        make_sparse(model, **row["activate"])
    return model.to(device, dtype)


class Masking:
    """Patterns and masks of a row. A task has `world` (a device), `config` (a seed), `parent_state` and the `statistics` of its matrices' inputs."""

    def patterns(self, row: dict, state: dict[str, torch.Tensor]) -> dict[str, Pattern]:
        found = assign(list(state), row["patterns"])
        shapes = {name: tuple(state[name].shape) for name in found}
        return with_ratios(found, shapes) if row.get("ratios") == "erk" else found

    def masks(self, row: dict, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        generator = torch.Generator(device=self.world.device).manual_seed(self.config["seed"] + row.get("seed", 0))
        weights = {name: value.to(self.world.device) for name, value in state.items()}
        return masks(row["masks"], weights, self.patterns(row, state), self.statistics, generator)


@dataclass
class Task(Masking):
    """What all rows of a comparison share."""

    world: World
    config: dict
    judge: CrossEncoder
    parent_state: dict[str, torch.Tensor]
    log: Log

    def __post_init__(self):
        self.settings = {**self.config["train"], **self.config["cross_encoder"], **self.config["reranker"], **self.config["sparsity"]["settings"]}
        self.shape = self.config["prepare"]["relevance"]["model"]
        self.adopt(self.parent_state)

    def adopt(self, state: dict[str, torch.Tensor]) -> None:
        """The dense model that all following rows start from and are compared with."""
        self.parent_state = state
        self.parent = cross_encoder(state, self.shape, self.world.device, self.world.dtype).eval().requires_grad_(False)
        self.statistics = self.inputs_of(self.parent)

    def batches(self, seed: int) -> Batches:
        generator = torch.Generator(device=self.world.device).manual_seed(seed)
        return Batches(self.world.prepared, self.world.docs, self.settings, generator)

    def pairs(self, count: int, seed: int, queries: int | None = None) -> list[tuple]:
        """`count` batches of training pairs, the widths in turn."""
        batches, s = self.batches(seed), self.settings
        out = []
        for i in range(count):
            bucket = i % len(batches.buckets)
            query_rows, doc_rows = batches.draw(bucket)
            query_rows, doc_rows = query_rows[:queries], doc_rows[:queries]
            ids = self.world.prepared["queries"].bare(query_rows, s["query_width"])
            width = min(batches.buckets[bucket].width + ids.shape[1] + 1, 512)
            out.append(pairs(ids.repeat_interleave(doc_rows.shape[1], 0), self.world.docs, doc_rows.flatten(), width))
        return out

    def inputs_of(self, model: CrossEncoder) -> dict[str, InputStatistics]:
        return input_statistics(model, self.pairs(self.settings["calibration_batches"], self.config["seed"] + 11))


def pruned(task: Masking, row: dict) -> dict[str, torch.Tensor]:
    """A row without training: the parent's weights, masked."""
    chosen = task.masks(row, task.parent_state)
    return {name: value.to(task.world.device) * (chosen[name] if name in chosen else 1) for name, value in task.parent_state.items()}


def method_of(task: Masking, row: dict, optimizer: MasterAdamW, start: dict[str, torch.Tensor]) -> Method:
    """`row["masks"]` "kept" takes the places of the start's own zeros."""
    patterns = task.patterns(row, start)
    if row["masks"] == "kept":
        chosen = {name: (start[name] != 0).to(task.world.device) for name in patterns}
    else:
        chosen = task.masks(row, start)
    masters, working = dict(zip(optimizer.names, optimizer.masters)), dict(zip(optimizer.names, optimizer.working))
    weighed = row["masks"].startswith("wanda")
    matrices = {
        name: Matrix(pattern, working[name], masters[name], chosen[name], task.statistics[name].square if weighed else None)
        for name, pattern in patterns.items()
    }
    kind = METHODS[row["method"]]
    settings = row.get("with", {})
    if kind is Cast:
        moments = optimizer.adam.state
        return Cast(matrices, settings, lambda master: moments[master].get("exp_avg_sq") if master in moments else None)
    return kind(matrices, settings)


def trained(task: Task, row: dict, start: dict[str, torch.Tensor], save=None) -> dict[str, torch.Tensor]:
    """row: patterns, masks, method, `with` (its settings), `set` (of the objective and optimiser), seconds, seed, and what `cross_encoder` reads.
    `save` gets a finished state dict every `save_seconds`."""
    world = task.world
    settings = {**task.settings, **row.get("set", {})}
    seed = task.config["seed"] + 100 * row.get("seed", 0)
    torch.manual_seed(seed)
    batches = task.batches(seed + 5)
    model = cross_encoder(start, task.shape, world.device, world.dtype, row)
    optimizer = MasterAdamW(model, {}, settings["weight_decay"], settings["ema"])
    reranking = SparseReranking(model, task.judge, task.parent, world, settings, row.get("drop_layers", ()))
    shares = torch.tensor([b.share for b in batches.buckets])

    def loss_at(progress: float):
        bucket = int(torch.multinomial(shares, 1))
        query_rows, doc_rows = batches.draw(bucket)
        return reranking(query_rows, with_neighbours(doc_rows, settings["neighbours"]), batches.buckets[bucket].width, progress)

    try:
        return optimized(task, row, settings, optimizer, start, loss_at, save)
    finally:
        reranking.close()


def optimized(
    task: Masking, row: dict, settings: dict, optimizer: MasterAdamW, start: dict[str, torch.Tensor],
    loss_at: Callable[[float], tuple[torch.Tensor, dict[str, torch.Tensor]]], save: Callable[[dict[str, torch.Tensor]], None] | None = None,
) -> dict[str, torch.Tensor]:  # fmt: skip
    """`row["seconds"]` of steps with the row's method. `loss_at` gets the progress and returns the loss of a new batch and the parts of it to log."""
    world = task.world
    # The parameters of the start in full precision, not as the working copy rounded them.
    with torch.no_grad():
        for name, master, average in zip(optimizer.names, optimizer.masters, optimizer.average):
            master.copy_(start[name])
            average.copy_(start[name])
    method = method_of(task, row, optimizer, start)
    spent, step, clock = 0.0, 0, time.time()
    last_log = last_save = 0.0
    while spent < row["seconds"]:
        progress = spent / row["seconds"]
        loss, parts = loss_at(progress)
        loss.backward()
        lr = settings["lr"] * cosine(progress)
        optimizer.step(lr, change_gradients=lambda: method.change_gradients(progress))
        method.change_weights(lr, progress)
        step += 1
        if step % 10 == 0 and world.device.type == "cuda":
            torch.cuda.synchronize()
        now = time.time()
        spent, clock = spent + now - clock, now
        if spent - last_log >= settings["log_seconds"]:
            last_log = spent
            task.log(row=row["name"], step=step, spent=round(spent, 1), churn=round(float(method.churn), 5),
                     **{k: round(v.item(), 4) for k, v in parts.items()})  # fmt: skip
        if save and method.settled and spent - last_save >= settings["save_seconds"]:
            last_save = spent
            save(method.finished(optimizer.weights(averaged=True)))
            clock = time.time()
    task.log(row=row["name"], step=step, spent=round(spent, 1))
    return {name: value.detach() for name, value in method.finished(optimizer.weights(averaged=True)).items()}


def write(path, state: dict[str, torch.Tensor], row: dict, task: Task) -> None:
    shape = {**task.shape, "num_hidden_layers": depth(state), "intermediate_size": intermediate_size(state)}
    checkpoint.save(path, state, {"model": shape, "row": row})

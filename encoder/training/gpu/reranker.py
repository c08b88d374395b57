"""Trains a cross-encoder that reorders the first hits, from layers of the relevance teacher: WORK/latest.

    python reranker.py --config config/winnow-mini.json --data DATA --models MODELS --prepared WORK --work RUN [--set layers=4]
        [--start RUN/latest]

`--start` begins from a cross-encoder instead of the teacher's layers, with a fresh optimiser. With `keep_zeros` the zeros of its sparse
matrices stay where they are, so that runs from one start, and the mean of their weights, have its patterns.

Per query it trains on P documents: candidates, and some of its neighbours' in the batch, since the first stage also returns
documents that are far from the query. The target joins the dense teachers and BM25 with the relevance teacher, which runs beside
the student; its share depends on the kind of query (`judge_share`). No label is used: with labels an earlier one over-fitted.
"""

import argparse
import json
import time
from pathlib import Path

import torch
import torch.nn.functional as F

import checkpoint
import losses
from batches import Batches
from early_learning import EarlyLearning
from model import CrossEncoder
from optimizer import MasterAdamW, cosine
from runtime import Log
from teachers import load_cross_encoder
from tokens import pairs, query_matrix
from train import Distiller, World

LAYER = "bert.encoder.layer."


def layers_of(state: dict[str, torch.Tensor], numbers: list[int]) -> dict[str, torch.Tensor]:
    """The weights of a shallower model: these layers, numbered from 0, and all that is no layer."""
    places = {str(number): place for place, number in enumerate(numbers)}
    out = {}
    for name, value in state.items():
        if name.startswith(LAYER):
            number, rest = name.removeprefix(LAYER).split(".", 1)
            if number not in places:
                continue
            name = f"{LAYER}{places[number]}.{rest}"
        out[name] = value
    return out


def evenly_spaced(state: dict[str, torch.Tensor], layers: int) -> dict[str, torch.Tensor]:
    """The weights of a shallower model: `layers` of its layers, the last one always among them (6 of 12: 1, 3, ... 11)."""
    total = 1 + max(int(name.removeprefix(LAYER).split(".")[0]) for name in state if name.startswith(LAYER))
    return layers_of(state, [total * (i + 1) // layers - 1 for i in range(layers)])


def with_neighbours(doc_rows: torch.Tensor, count: int) -> torch.Tensor:
    """[Q, P] -> [Q, P]: the last `count` documents of each query are replaced by the first ones of the query before it."""
    if count == 0:
        return doc_rows
    return torch.cat([doc_rows[:, :-count], doc_rows.roll(1, 0)[:, :count]], dim=1)


def shares_by_source(names: list[str], shares: dict[str, float], device) -> torch.Tensor:
    """One share per source, then one for spans: sources that the config does not name have the share `other`."""
    return torch.tensor([shares.get(name, shares["other"]) for name in names] + [shares["spans"]], device=device)


def masks_of_zeros(state: dict[str, torch.Tensor], least: float = 0.25) -> dict[str, torch.Tensor]:
    """Matrices of the layers of which at least this part is 0 -> True where a weight may change. The zeros of such a matrix are a pattern
    that the kernels skip; those of the others are only rounded weights."""
    matrices = {name: value != 0 for name, value in state.items() if name.startswith(LAYER) and value.dim() == 2}
    return {name: kept for name, kept in matrices.items() if kept.float().mean() <= 1 - least}


class Zeros:
    """Keeps the zeros of the sparse matrices that a start has."""

    def __init__(self, start: dict[str, torch.Tensor], optimizer: MasterAdamW):
        masters = dict(zip(optimizer.names, optimizer.masters))
        self.kept = [(masters[name], mask.to(masters[name].device)) for name, mask in masks_of_zeros(start).items()]

    def hold(self) -> None:
        """To run between gradients and step: without a gradient a weight of 0 stays 0, since its moments and its decay are 0, too."""
        for master, mask in self.kept:
            master.grad.mul_(mask)


class Reranking:
    """The loss of one batch: the order of a query's documents, and the distance from the relevance teacher's own state."""

    def __init__(self, model: CrossEncoder, judge: CrossEncoder, world: World, settings: dict):
        self.model, self.judge, self.world, self.settings = model, judge, world, settings
        self.teachers = Distiller(None, world.docs, world.prepared, world.weights, settings)
        device = world.docs.tokens.device
        self.shares = shares_by_source(world.prepared["source_names"], settings["judge_share"], device)
        self.early = EarlyLearning(1 << 22, settings["early_learning_momentum"], device) if settings["early_learning"] else None

    def share(self, query_rows: torch.Tensor) -> torch.Tensor:
        """[Q] -> [Q], the relevance teacher's part of the target."""
        prepared = self.world.prepared
        return torch.where(query_rows < prepared["real"], self.shares[prepared["source"][query_rows].long()], self.shares[-1])

    def example(self, query_rows: torch.Tensor, doc_rows: torch.Tensor, width: int):
        """query_rows [Q], doc_rows [Q, P] -> the pairs that models read, target logits [Q, P], the relevance teacher's state [Q * P, H]."""
        s, docs = self.settings, self.world.docs
        count = doc_rows.shape[1]
        flat = doc_rows.flatten()
        query_ids = self.world.prepared["queries"].bare(query_rows, s["query_width"])
        inputs = pairs(query_ids.repeat_interleave(count, 0), docs, flat, min(width + query_ids.shape[1] + 1, 512))
        with torch.no_grad():
            ids = docs.padded(flat, width)[0]
            scores = self.teachers.teacher_scores(query_rows, flat, ids, query_matrix(query_ids, self.world.weights.idf))
            mixed = scores.gather(1, losses.own_columns(*doc_rows.shape, flat.device))
            state = self.judge.pooled(*inputs)
            target = losses.judged_logits(mixed, self.judge.classified(state).view(-1, count), self.share(query_rows))
        return inputs, target, state

    def compare(
        self, rows: tuple[torch.Tensor, torch.Tensor], own: torch.Tensor, logits: torch.Tensor, target: torch.Tensor, state: torch.Tensor, progress: float
    ):
        """rows: query rows [Q] and document rows [Q, P]; the student's state [Q * P, H] and logits [Q, P] beside what `example` returned
        -> loss and the parts of it to log."""
        s = self.settings
        if s["loss"] == "margin-mse":
            rank = losses.margin_mse(logits, target) * s["margin_weight"]
        else:
            rank = losses.kl_to_teacher(logits / s["temperature"], target / s["temperature"])
        # KL and margins leave the level of the logits free; a relevance threshold needs it.
        level = (logits - target).square().mean()
        distance = 1 - F.cosine_similarity(own, state, dim=1).mean()
        # Layers taken out of a deeper model no longer fit; the teacher's state repairs them fast, and then only the order counts.
        loss = rank + s["level_weight"] * level + s["state_weight"] * (1 - progress) * distance
        agrees = (logits.argmax(1) == target.argmax(1)).float().mean()
        parts = {"rank": rank, "level": level, "distance": distance, "agrees": agrees}
        if self.early is not None:
            parts["early"] = self.early(*rows, logits / s["temperature"])
            loss = loss + s["early_learning"] * parts["early"]
        return loss, parts

    def __call__(self, query_rows: torch.Tensor, doc_rows: torch.Tensor, width: int, progress: float):
        """query_rows [Q], doc_rows [Q, P] -> loss and the parts of it to log."""
        inputs, target, state = self.example(query_rows, doc_rows, width)
        own = self.model.pooled(*inputs)
        return self.compare((query_rows, doc_rows), own, self.model.classified(own).view(target.shape), target, state, progress)


def train(world: World, config: dict, models: Path, work: Path, start: Path | None, seconds: float, log: Log) -> dict[str, torch.Tensor]:
    """One run, or the rest of one that was stopped -> the averaged weights."""
    settings = {**config["train"], **config["cross_encoder"], **config["reranker"]}
    relevance = config["prepare"]["relevance"]
    device, dtype = world.device, world.dtype
    torch.manual_seed(config["seed"])
    generator = torch.Generator(device=device).manual_seed(config["seed"] + 5)
    batches = Batches(world.prepared, world.docs, settings, generator)
    judge = load_cross_encoder(models / relevance["teacher"], relevance["model"], device, dtype)
    shape = {**relevance["model"], "num_hidden_layers": settings["layers"]}
    model = CrossEncoder(shape)
    first = evenly_spaced(checkpoint.load(start or models / relevance["teacher"]), settings["layers"])
    model.load_state_dict(first)
    model.to(device, dtype)
    optimizer = MasterAdamW(model, {}, settings["weight_decay"], settings["ema"])
    zeros = Zeros(first, optimizer) if settings["keep_zeros"] else None
    if zeros is not None:
        log(sparse_matrices=len(zeros.kept), kept=round(sum(mask.float().mean().item() for _, mask in zeros.kept) / max(len(zeros.kept), 1), 4))
    reranking = Reranking(model, judge, world, settings)
    shares = torch.tensor([b.share for b in batches.buckets])
    trained, step = 0.0, 0
    saved = work / "state.pt"
    if saved.exists():
        state = torch.load(saved, map_location=device, weights_only=False)
        optimizer.restore(state["optimizer"])
        trained, step = state["trained"], state["step"]
        generator.manual_seed(config["seed"] + 5 + step)
        log(resumed=step, trained=round(trained, 1))

    def save() -> None:
        checkpoint.save(work / "latest", optimizer.weights(averaged=True), {"model": shape, "step": step, "trained": trained})
        torch.save({"optimizer": optimizer.state(), "trained": trained, "step": step}, saved)

    last_log, last_save, clock = trained, trained, time.time()
    while trained < seconds:
        progress = trained / seconds
        bucket = int(torch.multinomial(shares, 1))
        query_rows, doc_rows = batches.draw(bucket)
        loss, parts = reranking(query_rows, with_neighbours(doc_rows, settings["neighbours"]), batches.buckets[bucket].width, progress)
        loss.backward()
        optimizer.step(settings["lr"] * cosine(progress), change_gradients=zeros and zeros.hold)
        step += 1
        if step % 10 == 0 and device.type == "cuda":
            torch.cuda.synchronize()
        now = time.time()
        trained += now - clock
        clock = now
        if trained - last_log >= settings["log_seconds"]:
            last_log = trained
            log(step=step, trained=round(trained, 1), bucket=bucket, **{k: round(v.item(), 4) for k, v in parts.items()})
        if trained - last_save >= settings["save_seconds"]:
            last_save = trained
            save()
            clock = time.time()
    save()
    log(step=step, trained=round(trained, 1))
    return optimizer.weights(averaged=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("config", "data", "models", "work", "prepared"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--start", type=Path)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=JSON", help="other values of `reranker` settings, or of `seed`")
    args = parser.parse_args()
    config = json.loads(args.config.read_text())
    for key, value in (pair.split("=", 1) for pair in args.set):
        (config if key == "seed" else config["reranker"])[key] = json.loads(value)
    args.work.mkdir(parents=True, exist_ok=True)
    world = World({**config, "data": {**config["data"], "eval_sets": [], "dev_sets": []}}, args.data, args.prepared)
    train(world, config, args.models, args.work, args.start, args.seconds or config["reranker"]["seconds"], Log(args.work / "reranker.jsonl"))


if __name__ == "__main__":
    main()

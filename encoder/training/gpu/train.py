"""Step 3: distillation. Resumable in pieces of any length; the schedule follows the time trained, not the clock.

    python train.py --config config/winnow-mini.json --data DATA --work WORK --seconds 540 [--start WORK/warm]

Writes WORK/latest (int8 running average, movable between machines), WORK/state.pt (to resume where the disk
survives) and WORK/train.jsonl. `--start` begins from a checkpoint with a fresh optimiser.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

import checkpoint
import losses
from batches import Batches
from evaluate import EvalSet, evaluate, load_set
from model import CrossEncoder, SparseEncoder
from optimizer import MasterAdamW, cosine
from runtime import Log, pick_device
from teachers import DenseScores, SparseScores, bm25_weights, cross_scores, load_cross_encoder
from tokens import TokenTable, query_matrix


class Distiller:
    """One objective: KL to the teachers over all documents of the batch + FLOPS + revival of the query's own terms, and with a
    `vector_teacher` the distance from its vectors."""

    def __init__(
        self, model: SparseEncoder | None, docs: TokenTable, prepared: dict, idf: torch.Tensor, settings: dict, cross: CrossEncoder | None = None
    ):
        """`model` may be None where only the teachers are asked."""
        self.model = model
        self.cross = cross
        self.docs = docs
        self.prepared = prepared
        self.idf = idf
        self.settings = settings
        self.mean_length = docs.lengths().float().mean().item()
        self.dense = {name: DenseScores(*pair) for name, pair in prepared["dense"].items()}
        self.sparse: dict[str, SparseScores] = prepared["sparse"]
        self.scale = torch.tensor(float(settings["first_scale"]), device=idf.device)
        self.penalty = torch.tensor(float(settings["first_penalty"]), device=idf.device)

    def teacher_scores(self, query_rows, doc_rows, doc_ids, queries) -> torch.Tensor:
        """[Q] x [D] -> [Q, D] in 0..1, the mean of the per-query normalised teachers."""
        weights = self.settings["teacher_weights"]
        scores = []
        for name in weights:
            if name == "bm25":
                scores.append(queries @ bm25_weights(doc_ids, self.mean_length, queries.shape[1]).T)
            elif name in self.sparse:
                scores.append(self.sparse[name](query_rows, doc_rows, queries))
            else:
                scores.append(self.dense[name](query_rows, doc_rows))
        return losses.ensemble(scores, list(weights.values()))

    def __call__(self, query_rows: torch.Tensor, doc_rows: torch.Tensor, width: int, progress: float):
        """query_rows [Q], doc_rows [Q, P] -> loss and the parts worth watching (0-d tensors, no synchronisation)."""
        s = self.settings
        anchors = torch.arange(len(query_rows), device=query_rows.device) * doc_rows.shape[1]
        own_rows, doc_rows = doc_rows, doc_rows.flatten()
        ids, mask = self.docs.padded(doc_rows, width)
        query_ids = self.prepared["queries"].bare(query_rows, s["query_width"])
        queries = query_matrix(query_ids, self.idf)
        with torch.no_grad():
            teacher01 = self.teacher_scores(query_rows, doc_rows, ids, queries)
            if self.cross is not None:
                own = cross_scores(self.cross, query_ids, self.docs, own_rows, width)
                teacher01 = losses.blend_own(teacher01, own, s["cross_weight"])
            teacher = teacher01 * s["teacher_scale"]

        states = self.model.head_states(ids, mask)
        vector = s.get("vector_weight", 0.0)
        if vector:
            teacher_docs = self.sparse[s["vector_teacher"]].docs
            also = teacher_docs.rows(doc_rows)[0]
            terms, logits = self.model.top_logits(states, s["keep_terms"], also)
        else:
            terms, logits = self.model.top_logits(states, s["keep_terms"])
        weights = self.model.spread(terms, logits)
        if not s["idf_in_score"]:
            queries = (queries > 0).float()
        student = losses.length_free(queries @ weights.T, queries.sum(1))
        if progress < s["freeze_scale_at"]:
            with torch.no_grad():
                near = self.scale * torch.tensor([0.85, 0.93, 1.0, 1.07, 1.15], device=self.scale.device)
                self.scale.lerp_(losses.fit_scale(student, teacher, near), 0.1)
        rank = losses.kl_to_teacher(student * self.scale, teacher)

        own_logits = self.model.logits_of(states[anchors], query_ids).float()
        confidence = teacher01.gather(1, anchors[:, None]).squeeze(1).square()
        revival = losses.revive(own_logits, self.idf[query_ids], confidence)

        size = losses.flops(weights, s["l0_threshold"])
        ramp = min(1.0, progress / s["penalty_ramp"]) ** 2 if s["penalty_ramp"] > 0 else 1.0
        loss = rank + ramp * self.penalty * size + s["revival"] * revival
        parts = {"kl": rank, "flops": size, "revival": revival, "terms": (weights.detach() > 0).sum(1).float().mean()}
        if vector:
            target = teacher_docs.dense(doc_rows, weights.shape[1]).gather(1, terms)
            parts["vector"] = losses.vector_error(logits, self.model.activation(logits), target, self.idf[terms])
            loss = loss + vector * parts["vector"]
        return loss, parts

    def control(self, terms: torch.Tensor, target: float) -> None:
        """lambda follows the terms per document: the wanted size is what one knows, the penalty is not."""
        self.penalty.mul_((terms / target).clamp(0.5, 2.0) ** self.settings["control_gain"])


class Judge:
    """Evaluates the running average, rounded to int8 rows, in a second copy of the model."""

    def __init__(self, config: dict, sets: dict[str, EvalSet], idf: torch.Tensor, dtype):
        self.model = SparseEncoder(config["model"]).to(idf.device, dtype).eval()
        self.sets = sets
        self.idf = idf

    def __call__(self, state: dict[str, torch.Tensor], names: list[str] | None = None, rounded: bool = True) -> dict:
        with torch.no_grad():
            self.model.load_state_dict(checkpoint.fake_quantized(state) if rounded else state, strict=False)
        out = {}
        for name in names or self.sets:
            result = evaluate(self.model, self.sets[name], self.idf)
            out[name] = {key: round(value, 4 if key == "ndcg10" else 2) for key, value in result.items()}
        return out


class World:
    """What every run on this machine shares: collection, teachers, idf, evaluation."""

    def __init__(self, config: dict, data: Path, work: Path):
        self.device, self.dtype = pick_device()
        self.docs = TokenTable.load(data / "docs.npz").to(self.device)
        self.idf = torch.from_numpy(np.load(data / "vocab.npz")["idf"]).to(self.device)
        self.prepared = torch.load(work / "prepared.pt", map_location=self.device, weights_only=False)
        named = {path.stem.removeprefix("sparse-"): path for path in sorted(work.glob("sparse-*.pt"))}
        self.prepared["sparse"] = {name: SparseScores.load(path, self.device) for name, path in named.items()}
        self.work = work
        self.sets = {name: load_set(data, name, self.device) for name in config["data"]["eval_sets"]}

    def cross_encoder(self, config: dict) -> CrossEncoder | None:
        """The model `train.cross_encoder` names in the prepared folder (cross_encoder.py writes it), if the config names one."""
        name = config["train"].get("cross_encoder")
        if name is None:
            return None
        return load_cross_encoder(self.work / name, config["cross_encoder"]["model"], self.device, self.dtype)


def train(world: World, config: dict, work: Path, start: Path | None, seconds: float, log: Log) -> dict:
    """One run, or the next `seconds` of one; returns the figures of its end.

    The schedule's length is `train.steps` if the config has it (equal work for ablations, whatever runs beside them), else
    `train.seconds` of training.
    """
    settings = config["train"]
    device, dtype = world.device, world.dtype
    torch.manual_seed(config["seed"])
    generator = torch.Generator(device=device).manual_seed(config["seed"] + 1)

    docs, prepared = world.docs, world.prepared
    batches = Batches(prepared, docs, settings, generator)
    model = SparseEncoder(config["model"])
    model.load_state_dict(checkpoint.load(start or work / "warm"), strict=False)
    model.to(device, dtype)
    optimizer = MasterAdamW(model, {"cls.": settings["head_lr_factor"]}, settings["weight_decay"], settings["ema"])
    distiller = Distiller(model, docs, prepared, world.idf, settings, world.cross_encoder(config))
    # Without idf in the score a query is a set of ones, in training and in the judgement.
    judge = Judge(config, world.sets, world.idf if settings["idf_in_score"] else (world.idf > 0).float(), dtype)
    trained, step, target = 0.0, 0, float(settings["target_terms"])
    saved = work / "state.pt"
    if saved.exists() and not start:
        state = torch.load(saved, map_location=device, weights_only=False)
        optimizer.restore(state["optimizer"])
        trained, step, target = state["trained"], state["step"], state["target"]
        distiller.scale.copy_(state["scale"])
        distiller.penalty.copy_(state["penalty"])
        generator.manual_seed(config["seed"] + 1 + step)
        log(resumed=step, trained=round(trained, 1))

    steps, total = settings.get("steps"), settings["seconds"]
    stop_at = trained + seconds
    shares = torch.tensor([b.share for b in batches.buckets])
    controlled = settings["controlled_bucket"]

    def checkpointed(final: bool) -> dict:
        nonlocal target
        averaged = optimizer.weights(averaged=True)
        figures = judge(averaged, settings["final_sets"] if final else settings["watch_sets"])
        terms = figures[settings["size_set"]]["terms"]
        # Documents in use are longer than those of a batch; steer by what the size set really gets.
        target *= min(max(settings["size_terms"] / terms, 0.93), 1.07)
        log(step=step, trained=round(trained, 1), target=round(target, 1), **figures)
        if settings["keep"]:
            checkpoint.save(work / "latest", averaged, {"model": config["model"], "step": step, "trained": trained, "figures": figures})
            # Snapshots of the running average can be averaged again at the end (soup.py).
            torch.save({name: value.half() for name, value in averaged.items()}, work / f"snapshot-{step}.pt")
            torch.save(
                {"optimizer": optimizer.state(), "trained": trained, "step": step, "target": target,
                 "scale": distiller.scale, "penalty": distiller.penalty},
                saved,
            )  # fmt: skip
        return figures

    last_log, last_eval, clock = trained, trained, time.time()
    while trained < stop_at and not (work / "stop").exists():
        progress = step / steps if steps else trained / total
        if progress >= 1:
            break
        bucket = int(torch.multinomial(shares, 1))
        query_rows, doc_rows = batches.draw(bucket)
        loss, parts = distiller(query_rows, doc_rows, batches.buckets[bucket].width, progress)
        loss.backward()
        optimizer.step(settings["lr"] * cosine(progress))
        if bucket == controlled:
            distiller.control(parts["terms"], target)
        step += 1
        if step % 10 == 0 and device.type == "cuda":
            torch.cuda.synchronize()
        now = time.time()
        trained += now - clock
        clock = now
        if trained - last_log >= settings["log_seconds"]:
            last_log = trained
            log(step=step, trained=round(trained, 1), bucket=bucket, lam=round(distiller.penalty.item(), 5),
                c=round(distiller.scale.item(), 3), **{k: round(v.item(), 4) for k, v in parts.items()})  # fmt: skip
        if trained - last_eval >= settings["eval_seconds"]:
            last_eval = trained
            checkpointed(final=False)
            clock = time.time()  # time spent judging is not training time
    return checkpointed(final=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("config", "data", "work"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--prepared", type=Path, help="folder of prepared.pt, if not --work (several models share one)")
    parser.add_argument("--seconds", type=float, required=True, help="stop this piece after so much training")
    parser.add_argument("--start", type=Path, help="checkpoint or model folder to start from, ignoring WORK/state.pt")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=JSON", help="other values of `train` settings, or of `seed`")
    args = parser.parse_args()
    config = json.loads(args.config.read_text())
    for key, value in (pair.split("=", 1) for pair in args.set):
        (config if key == "seed" else config["train"])[key] = json.loads(value)
    args.work.mkdir(parents=True, exist_ok=True)
    world = World(config, args.data, args.prepared or args.work)
    train(world, config, args.work, args.start, args.seconds, Log(args.work / "train.jsonl"))


if __name__ == "__main__":
    main()

"""Step 3: distillation. Resumable in pieces of any length; the schedule follows the time spent training, not the clock.

    python train.py --config config/winnow-mini.json --data DATA --work WORK --seconds 540 [--start WORK/warm]

Writes WORK/latest (int8 running average, movable between machines), WORK/state.pt (to resume if the disk
survives) and WORK/train.jsonl. `--start` begins from a checkpoint with a fresh optimiser.
"""

import argparse
import json
import time
from pathlib import Path

import torch
import torch.nn.functional as F

import checkpoint
import losses
from anchor import Anchor, direction_error
from batches import Batches
from evaluate import EvalSet, evaluate, load_set, set_names
from model import CrossEncoder, SparseEncoder, TwoOutputEncoder
from optimizer import MasterAdamW, cosine
from query_weights import QueryWeights, text_frequency
from runtime import Log, pick_device
from teachers import DenseScores, SparseScores, bm25_weights, cross_scores, load_cross_encoder
from token_table import fit_table
from tokens import TokenTable, query_matrix


class Scale:
    """The factor on a student's scores that brings them closest to the teacher's logits, fitted repeatedly until it is frozen."""

    def __init__(self, first: float, device):
        self.value = torch.tensor(first, device=device)

    @torch.no_grad()
    def fit(self, scores: torch.Tensor, teacher: torch.Tensor) -> None:
        near = self.value * torch.tensor([0.85, 0.93, 1.0, 1.07, 1.15], device=self.value.device)
        self.value.lerp_(losses.fit_scale(scores, teacher, near), 0.3)

    def __call__(self, scores: torch.Tensor) -> torch.Tensor:
        return scores * self.value


class Distiller:
    """One objective: KL to the teachers over all documents of the batch + FLOPS + revival of the query's own terms; with a
    `vector_teacher` the distance from its vectors; with an `anchor_weight` the distance from the model that the run starts from, in documents of
    the sources that begin with one of `anchor_loose` times `anchor_loose_share`; with a `cosine_weight` the ranking by the second output's cosine, alone and
    added to the sparse score, for every size in `vector_sizes` and every kind of query vector that the model has. Anchor and ranking may be combined."""

    def __init__(
        self, model: SparseEncoder | None, docs: TokenTable, prepared: dict, weights: QueryWeights, settings: dict, cross: CrossEncoder | None = None,
        anchor: Anchor | None = None,
    ):  # fmt: skip
        """`model` may be None if only the teachers are used."""
        self.model = model
        self.anchor = anchor
        loose = tuple(settings["anchor_loose"])
        # Documents of sources that the relevance teacher never judges keep what the start makes of them; the others may move more.
        self.anchor_share = torch.tensor([settings["anchor_loose_share"] if loose and n.startswith(loose) else 1.0 for n in prepared["source_names"]], device=docs.tokens.device)
        self.cross = cross
        self.docs = docs
        self.prepared = prepared
        self.weights = weights
        self.idf = idf = weights.idf
        self.base = weights.base(text_frequency(docs, len(idf)), docs.rows) if settings["idf_in_score"] else (idf > 0).float()
        self.settings = settings
        self.batches: Batches | None = None
        self.mean_length = docs.lengths().float().mean().item()
        self.dense = {name: DenseScores(*pair) for name, pair in prepared["dense"].items()}
        self.sparse: dict[str, SparseScores] = prepared["sparse"]
        self.scale = Scale(settings["first_scale"], idf.device)
        kinds = [(kind, size) for kind in ("model", "tokens") for size in settings["vector_sizes"]]
        self.cosine_scales = {kind: Scale(20.0, idf.device) for kind in kinds}
        self.mix_scales = {kind: Scale(0.6, idf.device) for kind in kinds}
        # One per bucket, so that the penalty of short documents does not apply to long ones.
        self.penalty = torch.full((len(settings["buckets"]),), float(settings["first_penalty"]), device=idf.device)
        self.calls = 0

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

    def teacher(self, query_rows: torch.Tensor, doc_rows: torch.Tensor, ids: torch.Tensor, query_ids: torch.Tensor, width: int) -> torch.Tensor:
        """query_rows [Q], doc_rows [Q, P], ids [Q * P, T], query_ids [Q, L] -> [Q, Q * P] in 0..1, all judgements combined."""
        s = self.settings
        mixed = self.teacher_scores(query_rows, doc_rows.flatten(), ids, query_matrix(query_ids, self.idf))
        if s["relevance_weight"] > 0 and self.batches is not None:
            logits = self.batches.relevance_of(query_rows, doc_rows)
            mixed = losses.blend_relevance(mixed, logits, s["relevance_weight"], s["relevance_temperature"])
        if self.cross is not None:
            own = cross_scores(self.cross, query_ids, self.docs, doc_rows, width)
            mixed = losses.blend_own(mixed, own, s["cross_weight"])
        return mixed

    def __call__(self, query_rows: torch.Tensor, doc_rows: torch.Tensor, bucket: int, width: int, progress: float):
        """query_rows [Q], doc_rows [Q, P] of a bucket -> loss and the parts of it to log (0-d tensors, no synchronisation)."""
        s = self.settings
        anchors = torch.arange(len(query_rows), device=query_rows.device) * doc_rows.shape[1]
        flat = doc_rows.flatten()
        ids, mask = self.docs.padded(flat, width)
        query_ids = self.prepared["queries"].bare(query_rows, s["query_width"])
        with torch.no_grad():
            teacher01 = self.teacher(query_rows, doc_rows, ids, query_ids, width)
            teacher = teacher01 * s["teacher_scale"]
            token_weights = self.weights.of_tokens(query_ids, self.base)
            queries = self.weights.matrix(query_ids, self.base) if s["idf_in_score"] else query_matrix(query_ids, self.base)

        body = self.model.bert(ids, mask)
        states = self.model.transformed(body, mask)
        vector = s.get("vector_weight", 0.0)
        if self.anchor is not None:
            known = self.anchor.outputs(ids, mask)
            shares = self.anchor_share[self.prepared["doc_source"][flat].long()]
            terms, logits, drift = self.anchor.terms(self.model, states, known, shares)
        elif vector:
            teacher_docs = self.sparse[s["vector_teacher"]].docs
            terms, logits = self.model.top_logits(states, s["keep_terms"], teacher_docs.rows(flat)[0])
        else:
            terms, logits = self.model.top_logits(states, s["keep_terms"])
        weights = self.model.spread(terms, logits)
        student = losses.length_free(queries @ self.model.scored(weights).T, queries.sum(1))
        fit = progress < s["freeze_scale_at"] and self.calls % s["refit_every"] == 0
        self.calls += 1
        if fit:
            self.scale.fit(student, teacher)
        rank = losses.kl_to_teacher(self.scale(student), teacher)

        own_logits = self.model.logits_of(states[anchors], query_ids).float()
        confidence = teacher01.gather(1, anchors[:, None]).squeeze(1).square()
        revival = losses.revive(own_logits, self.idf[query_ids], confidence)

        size = losses.flops(weights, s["l0_threshold"])
        ramp = min(1.0, progress / s["penalty_ramp"]) ** 2 if s["penalty_ramp"] > 0 else 1.0
        loss = rank + ramp * self.penalty[bucket] * size + s["revival"] * revival
        parts = {"kl": rank, "flops": size, "revival": revival, "terms": (weights.detach() > 0).sum(1).float().mean()}
        if self.anchor is not None:
            parts["drift"] = drift
            told = self.anchor.outputs_of_queries(query_ids)
            parts["turned"] = direction_error(self.model.pooled(body, mask), known.vectors) + direction_error(self.model.query_vectors(query_ids), told)
            loss = loss + s["anchor_weight"] * drift + s["anchor_vector_weight"] * parts["turned"]
        elif vector:
            target = teacher_docs.dense(flat, weights.shape[1]).gather(1, terms)
            parts["vector"] = losses.vector_error(logits, self.model.activation(logits), target, self.idf[terms])
            loss = loss + vector * parts["vector"]
        if s["cosine_weight"]:
            parts.update(self.cosine_losses(body, mask, query_ids, token_weights, self.scale(student.detach()), teacher, fit))
            loss = loss + s["cosine_weight"] * (parts["cosine"] + s["token_share"] * parts.get("tokens", 0.0))
        return loss, parts

    def cosine_losses(self, body, mask, query_ids, token_weights, student, teacher, fit: bool) -> dict[str, torch.Tensor]:
        """KL of the cosine alone and of sparse score + cosine, mean over sizes: "cosine" for queries that ran through the model,
        "tokens" for sums of token vectors if the model has any. The first `size` numbers of a vector are a vector of that size."""
        told = self.model.pooled(body, mask)
        asked = {"model": self.model.query_vectors(query_ids)}
        if self.model.token is not None:
            asked["tokens"] = self.model.token_vectors(query_ids, token_weights)
        out = {}
        for kind, name in (("model", "cosine"), ("tokens", "tokens")):
            if kind not in asked:
                continue
            total = 0.0
            sizes = [size for size in self.settings["vector_sizes"] if size <= asked[kind].shape[1]]
            for size in sizes:
                cosine = F.normalize(asked[kind][:, :size], dim=1) @ F.normalize(told[:, :size], dim=1).T
                alone, mixed = self.cosine_scales[kind, size], self.mix_scales[kind, size]
                if fit:
                    alone.fit(cosine, teacher)
                    mixed.fit(student + alone(cosine), teacher)
                total = total + losses.kl_to_teacher(alone(cosine), teacher) + losses.kl_to_teacher(mixed(student + alone(cosine)), teacher)
            out[name] = total / len(sizes)
        return out

    def control(self, bucket: int, terms: torch.Tensor, target: float) -> None:
        """Adjusts lambda to the terms per document of its bucket: the wanted size is known, the penalty that leads to it is not."""
        self.penalty[bucket] *= (terms / target).clamp(0.5, 2.0) ** self.settings["control_gain"]


class Judge:
    """Evaluates the running average, rounded to int8 rows, in a second copy of the model."""

    def __init__(self, config: dict, sets: dict[str, EvalSet], weights: QueryWeights, dtype, settings: dict):
        self.model = encoder_of(config, settings).to(weights.idf.device, dtype).eval()
        self.share = settings["vector_share"]
        self.sets = sets
        self.weights = weights

    def __call__(self, state: dict[str, torch.Tensor], names: list[str] | None = None, rounded: bool = True) -> dict:
        with torch.no_grad():
            self.model.load_state_dict(checkpoint.fake_quantized(state) if rounded else state, strict=False)
        out = {}
        for name in names or self.sets:
            result = evaluate(self.model, self.sets[name], self.weights, share=self.share)
            out[name] = {key: round(value, 2 if key in ("terms", "flops") else 4) for key, value in result.items()}
        return out


def encoder_of(config: dict, settings: dict) -> SparseEncoder:
    """The model that a config's settings train; it has a second output if they set a `cosine_weight` or an `anchor_weight`, which holds it."""
    return (TwoOutputEncoder if settings["cosine_weight"] or settings["anchor_weight"] else SparseEncoder)(config["model"])


def means(figures: dict) -> dict[str, float]:
    """Figures by set -> the mean of every nDCG over the sets."""
    keys = [key for key in next(iter(figures.values())) if key not in ("terms", "flops")]
    return {key: round(sum(row[key] for row in figures.values()) / len(figures), 4) for key in keys}


class World:
    """What all runs on this machine share: collection, teachers, idf, evaluation."""

    def __init__(self, config: dict, data: Path, work: Path):
        self.device, self.dtype = pick_device()
        self.docs = TokenTable.load(data / "docs.npz").to(self.device)
        self.weights = QueryWeights.load(data, self.device)
        self.prepared = torch.load(work / "prepared.pt", map_location=self.device, weights_only=False)
        named = {path.stem.removeprefix("sparse-"): path for path in sorted(work.glob("sparse-*.pt"))}
        self.prepared["sparse"] = {name: SparseScores.load(path, self.device) for name, path in named.items()}
        self.work = work
        self.sets = {name: load_set(data, name, self.device) for name in set_names(config)}

    def cross_encoder(self, config: dict) -> CrossEncoder | None:
        """The model in the prepared folder that `train.cross_encoder` names (cross_encoder.py writes it); None if it names none."""
        name = config["train"].get("cross_encoder")
        if name is None:
            return None
        return load_cross_encoder(self.work / name, config["cross_encoder"]["model"], self.device, self.dtype)


def train(world: World, config: dict, work: Path, start: Path | None, seconds: float, log: Log) -> dict:
    """One run, or the next `seconds` of one -> the figures at its end.

    The schedule's length is `train.steps` if the config has it (equal work for ablations, whatever else runs), else
    `train.seconds` of training.
    """
    settings = config["train"]
    device, dtype = world.device, world.dtype
    torch.manual_seed(config["seed"])
    generator = torch.Generator(device=device).manual_seed(config["seed"] + 1)

    docs, prepared = world.docs, world.prepared
    batches = Batches(prepared, docs, settings, generator)
    model = encoder_of(config, settings)
    first = checkpoint.load(start or work / "warm")
    model.load_state_dict(first, strict=False)
    model.to(device, dtype)
    if config["model"].get("token_table") and "token.table.weight" not in first:
        model.start_table()
        if settings["token_fit_steps"]:
            base = world.weights.base(text_frequency(docs, len(world.weights.idf)), docs.rows)
            log(fitted=fit_table(model, prepared["queries"], world.weights, base, settings["query_width"], settings["token_fit_steps"]))
    factors = {"cls.": settings["head_lr_factor"], "dense.": settings["vector_lr_factor"], "token.": settings["token_lr_factor"]}
    optimizer = MasterAdamW(model, factors, settings["weight_decay"], settings["ema"])
    anchor = None
    if settings["anchor_weight"]:
        reference = encoder_of(config, settings)
        reference.load_state_dict(checkpoint.load(Path(settings["anchor_model"])) if settings["anchor_model"] else first, strict=False)
        anchor = Anchor(reference.to(device, dtype), world.weights.idf, settings["keep_terms"])
    distiller = Distiller(model, docs, prepared, world.weights, settings, world.cross_encoder(config), anchor)
    distiller.batches = batches
    judge = Judge(config, world.sets, world.weights, dtype, settings)
    trained, step, factor = 0.0, 0, 1.0
    saved = work / "state.pt"
    if saved.exists() and not start:
        state = torch.load(saved, map_location=device, weights_only=False)
        optimizer.restore(state["optimizer"])
        trained, step, factor = state["trained"], state["step"], state["factor"]
        distiller.scale.value.copy_(state["scale"])
        distiller.penalty.copy_(state["penalty"])
        generator.manual_seed(config["seed"] + 1 + step)
        log(resumed=step, trained=round(trained, 1))

    steps, total = settings.get("steps"), settings["seconds"]
    stop_at = trained + seconds
    shares = torch.tensor([b.share for b in batches.buckets])

    def checkpointed(final: bool) -> dict:
        nonlocal factor
        averaged = optimizer.weights(averaged=True)
        figures = judge(averaged, settings["final_sets"] if final else settings["watch_sets"])
        terms = figures[settings["size_set"]]["terms"]
        # Documents in use are longer than those of a batch, so lambda follows the size set.
        factor *= min(max(settings["size_terms"] / terms, 0.93), 1.07)
        log(step=step, trained=round(trained, 1), factor=round(factor, 3), mean=means(figures), **figures)
        if settings["keep"]:
            checkpoint.save(work / "latest", averaged, {"model": config["model"], "step": step, "trained": trained, "figures": figures})
            # soup.py averages snapshots of the running average at the end.
            torch.save({name: value.half() for name, value in averaged.items()}, work / f"snapshot-{step}.pt")
            torch.save(
                {"optimizer": optimizer.state(), "trained": trained, "step": step, "factor": factor,
                 "scale": distiller.scale.value, "penalty": distiller.penalty},
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
        loss, parts = distiller(query_rows, doc_rows, bucket, batches.buckets[bucket].width, progress)
        loss.backward()
        optimizer.step(settings["lr"] * cosine(progress))
        distiller.control(bucket, parts["terms"], settings["target_terms"][bucket] * factor)
        step += 1
        if step % 10 == 0 and device.type == "cuda":
            torch.cuda.synchronize()
        now = time.time()
        trained += now - clock
        clock = now
        if trained - last_log >= settings["log_seconds"]:
            last_log = trained
            log(step=step, trained=round(trained, 1), bucket=bucket, lam=[round(p, 5) for p in distiller.penalty.tolist()],
                c=round(distiller.scale.value.item(), 3), **{k: round(v.item(), 4) for k, v in parts.items()})  # fmt: skip
        if trained - last_eval >= settings["eval_seconds"]:
            last_eval = trained
            checkpointed(final=False)
            clock = time.time()  # Time spent on evaluation is not training time.
    return checkpointed(final=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("config", "data", "work"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--prepared", type=Path, help="folder of prepared.pt; default: --work (several models may share one)")
    parser.add_argument("--seconds", type=float, required=True, help="seconds of training after which this piece stops")
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

"""What cross-encoders add to a sparse ranking at every share, each beside the others on the same first hits.

    python compare_rerankers.py --config config/winnow-mini.json --data DATA --first ../../../models/winnow-mini CROSS.safetensors RUN/latest ...

The first hits (--depths of 100) are reordered by (1 - share) * z(first stage) + share * z(logit); the first stage is the sparse score, and with
--vector-share also the mixture with the cosine of the model's vectors. The share is chosen on the development sets; figures
of the evaluation sets are only printed.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F

import checkpoint
from compare_stages import SHARES
from evaluate import EvalSet, first_stage, load_set, ndcg_at_10, query_ids, zscored
from model import CrossEncoder, SparseEncoder
from prepare import load_student
from query_weights import QueryWeights
from runtime import Log, pick_device
from reranker import LAYER
from teachers import relevance_of_candidates


def built(state: dict[str, torch.Tensor], shape: dict, device, dtype) -> CrossEncoder:
    """A cross-encoder of any depth, with or without a pooler: its weights say which. Rounded to int8 rows, as in use."""
    state = checkpoint.fake_quantized(state)
    layers = 1 + max(int(name.removeprefix(LAYER).split(".")[0]) for name in state if name.startswith(LAYER))
    model = CrossEncoder({**shape, "num_hidden_layers": layers, "pooler": "bert.pooler.dense.weight" in state})
    model.load_state_dict(state)
    return model.to(device, dtype).eval().requires_grad_(False)


@dataclass
class FirstHits:
    """What the first stage found in one set: the rows of the best documents of each query, in its order, and their z-scores (-inf: none)."""

    data: EvalSet
    rows: torch.Tensor
    scores: torch.Tensor

    @staticmethod
    def of(first: SparseEncoder, data: EvalSet, weights: QueryWeights) -> "FirstHits":
        return FirstHits.best(data, first_stage(first, data, weights)[0])

    @staticmethod
    def best(data: EvalSet, scores: torch.Tensor, depth: int = 100) -> "FirstHits":
        """scores [Q, N] of all documents."""
        best = scores.topk(min(depth, scores.shape[1]), dim=1)
        return FirstHits(data, best.indices, zscored(best.values))

    def reordered_by(self, stage: torch.Tensor, share: float) -> tuple["FirstHits", torch.Tensor]:
        """stage [Q, hits] -> the hits in the order of (1 - share) * z(scores) + share * z(stage), and the places [Q, hits] that they came from."""
        stage = zscored(torch.where(self.scores.isfinite(), stage, -torch.inf))
        mixed = torch.where(self.scores.isfinite(), (1 - share) * self.scores + share * stage, -torch.inf).sort(1, descending=True)
        return FirstHits(self.data, self.rows.gather(1, mixed.indices), zscored(mixed.values)), mixed.indices

    def cut(self, depth: int) -> "FirstHits":
        """The first `depth` of the hits; those behind them keep their places in use, where they change nothing."""
        return FirstHits(self.data, self.rows[:, :depth], zscored(self.scores[:, :depth]))

    def logits(self, model: CrossEncoder) -> torch.Tensor:
        """[Q, hits] float32 logits of the first hits, -inf where there is none."""
        queries = torch.arange(self.data.queries.rows, device=self.scores.device)
        found = relevance_of_candidates(model, self.data.queries, self.data.docs, queries, self.rows, 1 << 16).float()
        return torch.where(self.scores.isfinite(), found, -torch.inf)

    def figures(self, logits: torch.Tensor) -> list[float]:
        """nDCG@10 of (1 - share) * z(sparse) + share * z(logit) for share 0 and every one of SHARES. Hits whose logit is -inf come last."""
        stage, gains, out = zscored(logits), self.data.gains, []
        for share in [0.0, *SHARES]:
            mixed = torch.where(stage.isfinite(), (1 - share) * self.scores + share * stage, -torch.inf) if share else self.scores
            out.append(round(ndcg_at_10(torch.full_like(gains, -torch.inf).scatter(1, self.rows, mixed), gains), 4))
        return out

    def reordered(self, model: CrossEncoder) -> list[float]:
        return self.figures(self.logits(model))


@torch.no_grad()
def first_stages(first: SparseEncoder, data: EvalSet, weights: QueryWeights, vector_share: float) -> dict[str, tuple[FirstHits, torch.Tensor]]:
    """By name, the hits of each first stage and the places [Q, hits] that they have in those of the first one: "sparse", and, with a share of its
    vector, "vector". Both have the same documents, so each pair is scored once."""
    scores, vectors = first_stage(first, data, weights)[:2]
    hits = FirstHits.best(data, scores)
    places = torch.arange(hits.rows.shape[1], device=hits.rows.device).expand_as(hits.rows)
    out = {"sparse": (hits, places)}
    if vector_share:
        asked = torch.cat([first.query_vectors(part) for part in query_ids(data)[:, :64].split(256)])
        cosine = (F.normalize(vectors, dim=1)[hits.rows] * F.normalize(asked, dim=1)[:, None]).sum(2)
        out["vector"] = hits.reordered_by(cosine, vector_share)
    return out


def summary(by_set: dict[str, list[float]], kinds: dict[str, list[str]]) -> dict:
    """Figures per share of every set -> their means over the sets of each kind, at the share that is best on the development sets."""
    means = {kind: [round(sum(c) / len(c), 4) for c in zip(*(by_set[n] for n in names))] for kind, names in kinds.items()}
    best = max(range(len(SHARES) + 1), key=lambda i: means["dev_sets"][i])
    return {"share": [0.0, *SHARES][best], **means, "chosen": {n: row[best] for n, row in by_set.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("config", "data", "first", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--vector-share", type=float, default=0.0, help="also over the hits that the first stage's vector reorders by this share")
    parser.add_argument("--depths", type=int, nargs="+", default=[100], help="how many of the first hits are reordered")
    parser.add_argument("rerankers", type=Path, nargs="+")
    args = parser.parse_args()
    config = json.loads(args.config.read_text())
    device, dtype = pick_device()
    weights = QueryWeights.load(args.data, device)
    first = load_student(args.first, config["model"], args.vector_share > 0, device, dtype)
    shape = config["prepare"]["relevance"]["model"]
    models = {str(path): built(checkpoint.load(path), shape, device, dtype) for path in args.rerankers}
    log = Log(args.out)
    kinds = {kind: config["data"][kind] for kind in ("dev_sets", "eval_sets")}
    figures: dict[tuple, dict[str, list[float]]] = {}
    for name in config["data"]["eval_sets"] + config["data"]["dev_sets"]:
        stages = first_stages(first, load_set(args.data, name, device), weights, args.vector_share)
        for path, model in models.items():
            logits = stages["sparse"][0].logits(model)
            for stage, (hits, places) in stages.items():
                for depth in args.depths:
                    row = hits.cut(depth).figures(logits.gather(1, places)[:, :depth])
                    figures.setdefault((path, stage, depth), {})[name] = row
                    log(set=name, reranker=path, first=stage, depth=depth, ndcg10=row)
    for (path, stage, depth), by_set in figures.items():
        log(reranker=path, first=stage, depth=depth, **summary(by_set, kinds))


if __name__ == "__main__":
    main()

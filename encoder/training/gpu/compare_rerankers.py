"""What cross-encoders add to a sparse ranking at every share, each beside the others on the same first hits.

    python compare_rerankers.py --config config/winnow-mini.json --data DATA --first ../../../models/winnow-mini CROSS.safetensors RUN/latest ...

The 100 first hits are reordered by (1 - share) * z(sparse) + share * z(logit). The share is chosen on the development sets; figures
of the evaluation sets are only printed.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import torch

import checkpoint
from compare_stages import SHARES
from evaluate import EvalSet, first_stage, load_model, load_set, ndcg_at_10, zscored
from model import CrossEncoder, SparseEncoder
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
    """What the first stage found in one set: the rows of the best 100 documents of each query and their z-scores (-inf: none)."""

    data: EvalSet
    rows: torch.Tensor
    scores: torch.Tensor

    @staticmethod
    def of(first: SparseEncoder, data: EvalSet, weights: QueryWeights) -> "FirstHits":
        scores = first_stage(first, data, weights)[0]
        best = scores.topk(min(100, scores.shape[1]), dim=1)
        return FirstHits(data, best.indices, zscored(best.values))

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


def summary(by_set: dict[str, list[float]], kinds: dict[str, list[str]]) -> dict:
    """Figures per share of every set -> their means over the sets of each kind, at the share that is best on the development sets."""
    means = {kind: [round(sum(c) / len(c), 4) for c in zip(*(by_set[n] for n in names))] for kind, names in kinds.items()}
    best = max(range(len(SHARES) + 1), key=lambda i: means["dev_sets"][i])
    return {"share": [0.0, *SHARES][best], **means, "chosen": {n: row[best] for n, row in by_set.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("config", "data", "first", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("rerankers", type=Path, nargs="+")
    args = parser.parse_args()
    config = json.loads(args.config.read_text())
    device, dtype = pick_device()
    weights = QueryWeights.load(args.data, device)
    first = load_model(args.first, config["model"], device, dtype)
    shape = config["prepare"]["relevance"]["model"]
    models = {str(path): built(checkpoint.load(path), shape, device, dtype) for path in args.rerankers}
    log = Log(args.out)
    kinds = {kind: config["data"][kind] for kind in ("dev_sets", "eval_sets")}
    figures: dict[str, dict[str, list[float]]] = {path: {} for path in models}
    for name in config["data"]["eval_sets"] + config["data"]["dev_sets"]:
        hits = FirstHits.of(first, load_set(args.data, name, device), weights)
        for path, model in models.items():
            figures[path][name] = hits.reordered(model)
            log(set=name, reranker=path, ndcg10=figures[path][name])
    for path, by_set in figures.items():
        log(reranker=path, **summary(by_set, kinds))


if __name__ == "__main__":
    main()

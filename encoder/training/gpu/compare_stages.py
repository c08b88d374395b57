"""What each later stage adds to the sparse ranking at every share, to choose the shares on the development sets.

    python compare_stages.py --config config/winnow-mini.json --data DATA --checkpoint RUN/final [--models MODELS]

The first hits are reordered by (1 - share) * z(sparse) + share * z(stage). Stages: the query's vector from the model, the sum of
its token vectors, both with 384 or 128 numbers, and with --models the relevance teacher as a cross-encoder. The shares
are chosen on the development sets; figures of the evaluation sets are only printed.
"""

import argparse
import json
from pathlib import Path

import torch
import torch.nn.functional as F

import checkpoint
from evaluate import EvalSet, first_stage, load_set, ndcg_at_10, query_ids, zscored
from query_weights import QueryWeights
from runtime import pick_device
from teachers import load_cross_encoder, relevance_of_candidates
from train import encoder_of

SHARES = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 1.0]


@torch.no_grad()
def stages(model, cross, data: EvalSet, weights: QueryWeights, depth: int = 100) -> dict[str, list[float]]:
    """nDCG@10 by stage, one figure per share."""
    scores, vectors, base, _ = first_stage(model, data, weights)
    best = scores.topk(min(depth, scores.shape[1]), dim=1)
    first = zscored(best.values)
    ids = query_ids(data)[:, :64]
    asked = {
        "vector": torch.cat([model.query_vectors(part) for part in ids.split(256)]),
        "tokens": torch.cat([model.token_vectors(part, weights.of_tokens(part, base)) for part in ids.split(256)]),
    }
    found = {"sparse": first}
    for name, query_vectors in asked.items():
        for size in sorted({query_vectors.shape[1], min(query_vectors.shape[1], 128)}, reverse=True):
            told = F.normalize(vectors[:, :size], dim=1)[best.indices]
            found[f"{name}{size}"] = (told * F.normalize(query_vectors[:, :size], dim=1)[:, None]).sum(2)
    if cross is not None:
        rows = torch.arange(len(ids), device=ids.device)
        found["cross"] = relevance_of_candidates(cross, data.queries, data.docs, rows, best.indices).float()
    figures = {}
    for name, stage in found.items():
        stage = zscored(torch.where(first.isfinite(), stage, -torch.inf))
        row = []
        for share in SHARES if name != "sparse" else [1.0]:
            mixed = torch.where(first.isfinite(), (1 - share) * first + share * stage, -torch.inf)
            row.append(ndcg_at_10(torch.full_like(scores, -torch.inf).scatter(1, best.indices, mixed), data.gains))
        figures[name] = row
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("config", "data", "checkpoint"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--models", type=Path, help="folder of the relevance teacher")
    args = parser.parse_args()
    config = json.loads(args.config.read_text())
    device, dtype = pick_device()
    weights = QueryWeights.load(args.data, device)
    model = encoder_of(config, {"cosine_weight": 1.0, "anchor_weight": 0.0})
    model.load_state_dict(checkpoint.fake_quantized(checkpoint.load(args.checkpoint)))
    model.to(device, dtype).eval()
    settings = config["prepare"]["relevance"]
    cross = load_cross_encoder(args.models / settings["teacher"], settings["model"], device, dtype) if args.models else None
    for kind in ("dev_sets", "eval_sets"):
        by_set = {name: stages(model, cross, load_set(args.data, name, device), weights) for name in config["data"][kind]}
        for stage in next(iter(by_set.values())):
            columns = list(zip(*(by_set[name][stage] for name in by_set)))
            print(kind, stage, [round(sum(column) / len(column), 4) for column in columns], flush=True)
            best = max(range(len(columns)), key=lambda i: sum(columns[i]))
            print("   ", SHARES[best], {name: round(by_set[name][stage][best], 4) for name in by_set}, flush=True)


if __name__ == "__main__":
    main()

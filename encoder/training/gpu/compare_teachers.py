"""nDCG@10 of every teacher and of mixtures on the development sets: the evidence for `teacher_weights`.

    python compare_teachers.py --config config/winnow-mini.json --data DATA --models MODELS --teachers bge e5 minilm \
        [--sparse splade] [--checkpoint base=BASE/final,config/winnow-base.json] [--cross WORK/cross]

A cross-encoder is too slow to score a collection. It reorders the 100 best of the best mixture, alone and mixed with it by
z-scores.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

import losses
from evaluate import EvalSet, encode_table, load_model, load_set, ndcg_at_10, query_ids
from model import CrossEncoder
from runtime import pick_device
from teachers import SPLADE_TINY, TEACHERS, bm25_weights, cross_scores, embed, load_cross_encoder, load_teacher
from tokens import TokenTable, query_matrix


@torch.no_grad()
def lexical_scores(docs: TokenTable, ids: torch.Tensor, idf: torch.Tensor) -> torch.Tensor:
    """BM25 of every query against every document, [Q, N]."""
    queries = query_matrix(ids, idf)
    mean_length = docs.lengths().float().mean().item()
    rows = torch.arange(docs.rows, device=ids.device)
    return torch.cat(
        [queries @ bm25_weights(docs.padded(block, 512)[0], mean_length, len(idf)).T for block in rows.split(1024)], dim=1
    )


def sparse_scores(path: Path, config: dict, data: EvalSet, idf: torch.Tensor, encode_queries: bool, dtype) -> torch.Tensor:
    """A sparse encoder's scores of every query against every document, [Q, N]."""
    model = load_model(path, config, idf.device, dtype)
    docs = encode_table(model, data.docs)
    queries = encode_table(model, data.queries).float() if encode_queries else query_matrix(query_ids(data), idf)
    return torch.cat([queries @ block.float().T for block in docs.split(1024)], dim=1)


@torch.no_grad()
def reranked(model: CrossEncoder, data: EvalSet, first: torch.Tensor, weights: list[float], depth: int = 100) -> list[float]:
    """nDCG@10 after reordering each query's `depth` best of `first` [Q, N]: (1 - w) * z(first) + w * z(cross-encoder), one figure per w."""
    best = first.topk(min(depth, first.shape[1]), dim=1)
    asked = query_ids(data)[:, :64]
    logits = torch.cat([cross_scores(model, asked[i : i + 1], data.docs, rows[None], 512) for i, rows in enumerate(best.indices)])
    figures = []
    for weight in weights:
        mixed = torch.full_like(first, -torch.inf)
        mixed.scatter_(1, best.indices, torch.lerp(losses.standardized(best.values), losses.standardized(logits), weight))
        mixed[data.own[:, 0], data.own[:, 1]] = -torch.inf
        figures.append(ndcg_at_10(mixed, data.gains))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("config", "data", "models"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--teachers", nargs="*", default=["bge", "e5"])
    parser.add_argument("--sets", nargs="+")
    parser.add_argument("--sparse", nargs="*", default=[], choices=["splade"])
    parser.add_argument("--checkpoint", nargs="*", default=[], metavar="NAME=CHECKPOINT,CONFIG")
    parser.add_argument("--cross", type=Path)
    parser.add_argument("--step", type=float, default=0.2, help="grid of the weights")
    args = parser.parse_args()
    config = json.loads(args.config.read_text())
    device, dtype = pick_device()
    idf = torch.from_numpy(np.load(args.data / "vocab.npz")["idf"]).to(device)
    sets = {n: load_set(args.data, n, device) for n in args.sets or config["train"]["watch_sets"]}
    scores: dict[str, dict[str, torch.Tensor]] = {name: {} for name in sets}
    for set_name, data in sets.items():
        scores[set_name]["bm25"] = lexical_scores(data.docs, query_ids(data), idf)
    for name in args.teachers:
        teacher, kind = load_teacher(name, args.models, config["model"], device, dtype), TEACHERS[name]
        for set_name, data in sets.items():
            queries = embed(teacher, data.queries, kind.query_prefix, 512)
            docs = embed(teacher, data.docs, kind.passage_prefix, 512)
            scores[set_name][name] = (queries @ docs.T).float()
    for name in args.sparse:
        for set_name, data in sets.items():
            scores[set_name][name] = sparse_scores(args.models / f"{name}-tiny.safetensors", SPLADE_TINY, data, idf, True, dtype)
    trained = [item.split("=", 1) for item in args.checkpoint]
    for name, place in trained:
        path, model_config = place.rsplit(",", 1)
        for set_name, data in sets.items():
            scores[set_name][name] = sparse_scores(Path(path), json.loads(Path(model_config).read_text())["model"], data, idf, False, dtype)
    names = ["bm25", *args.teachers, *args.sparse, *(name for name, _ in trained)]

    def mixture(set_name: str, weights: tuple[float, ...]) -> torch.Tensor:
        mixed = losses.ensemble([scores[set_name][n] for n in names], list(weights))
        own = sets[set_name].own
        mixed[own[:, 0], own[:, 1]] = -1
        return mixed

    table = []
    for parts in losses.grid(len(names), args.step):
        figures = [ndcg_at_10(mixture(set_name, parts), data.gains) for set_name, data in sets.items()]
        table.append((sum(figures) / len(figures), parts, figures))
    single = [row for row in table if max(row[1]) == 1]
    for mean, parts, figures in single + sorted(table, reverse=True)[:12]:
        weights = {n: round(p, 2) for n, p in zip(names, parts) if p}
        print(f"{mean:.4f}", dict(zip(sets, (round(f, 4) for f in figures))), weights, flush=True)
    if args.cross:
        model = load_cross_encoder(args.cross, config["cross_encoder"]["model"], device, dtype)
        best = max(table)[1]
        weights = [0.0, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0]
        figures = [reranked(model, data, mixture(set_name, best), weights) for set_name, data in sets.items()]
        for weight, row in zip(weights, zip(*figures)):
            print(f"{sum(row) / len(row):.4f}", dict(zip(sets, (round(f, 4) for f in row))), {"cross-encoder on the best mixture": weight}, flush=True)


if __name__ == "__main__":
    main()

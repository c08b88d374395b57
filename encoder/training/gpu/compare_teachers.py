"""nDCG@10 of every teacher and of mixtures on the sets that may steer choices; picks `teacher_weights` with evidence.

    python compare_teachers.py --config config/winnow-mini.json --data DATA --models MODELS --teachers bge e5 minilm
"""

import argparse
import itertools
import json
from pathlib import Path

import numpy as np
import torch

import losses
from evaluate import load_set, ndcg_at_10, query_ids
from runtime import pick_device
from teachers import TEACHERS, bm25_weights, embed, load_teacher
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("config", "data", "models"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--teachers", nargs="*", default=["bge", "e5"])
    parser.add_argument("--sets", nargs="+")
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
    names = ["bm25", *args.teachers]
    ticks = round(1 / args.step)
    table = []
    for parts in itertools.product(range(ticks + 1), repeat=len(names)):
        if sum(parts) != ticks:
            continue
        figures = []
        for set_name, data in sets.items():
            mixed = losses.ensemble([scores[set_name][n] for n in names], [p / ticks for p in parts])
            mixed[data.own[:, 0], data.own[:, 1]] = -1
            figures.append(ndcg_at_10(mixed, data.gains))
        table.append((sum(figures) / len(figures), parts, figures))
    single = [row for row in table if max(row[1]) == ticks]
    for mean, parts, figures in single + sorted(table, reverse=True)[:12]:
        weights = {n: round(p / ticks, 2) for n, p in zip(names, parts) if p}
        print(f"{mean:.4f}", dict(zip(sets, (round(f, 4) for f in figures))), weights, flush=True)


if __name__ == "__main__":
    main()

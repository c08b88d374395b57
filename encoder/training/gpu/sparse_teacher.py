"""Vectors of a sparse teacher for the whole collection, stored as WORK/sparse-NAME.pt. `teacher_weights` and `vector_teacher`
of a config refer to it as NAME.

    python sparse_teacher.py --name base --checkpoint BASE/final --config config/winnow-base.json --data DATA --work WORK
    python sparse_teacher.py --name splade --checkpoint MODELS/splade-tiny.safetensors --encode-queries --data DATA --work WORK

Without --config the model is SPLADE-tiny. --encode-queries is for teachers that encode queries with the model too.
"""

import argparse
import json
from pathlib import Path

import torch

from evaluate import load_model
from runtime import Log, pick_device
from teachers import SPLADE_TINY, SparseScores, sparse_vectors
from tokens import TokenTable


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("checkpoint", "data", "work"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--encode-queries", action="store_true")
    parser.add_argument("--terms", type=int, default=320, help="terms kept per document")
    args = parser.parse_args()
    device, dtype = pick_device()
    log = Log(args.work / "sparse_teacher.jsonl")
    model = load_model(args.checkpoint, json.loads(args.config.read_text())["model"] if args.config else SPLADE_TINY, device, dtype)
    docs = sparse_vectors(model, TokenTable.load(args.data / "docs.npz").to(device), args.terms)
    log(name=args.name, terms=round((docs.weights > 0).sum(1).float().mean().item(), 1))
    queries = None
    if args.encode_queries:
        table = torch.load(args.work / "prepared.pt", map_location=device, weights_only=False)["queries"]
        queries = sparse_vectors(model, table, 64, max_width=64)
        log(queries=table.rows)
    SparseScores(docs, queries).save(args.work / f"sparse-{args.name}.pt")
    log(stored=args.name)


if __name__ == "__main__":
    main()

"""A development set of web search: logged queries that are held out of training, with a relevance model's grades of pooled passages.

    python web_set.py --config CONFIG --data DATA --models MODELS --work WORK      # after prepare.py, before train.py

No public judgements of web search are free of the evaluated sets, so the grades are those of the cross-encoder that also teaches
(`prepare.relevance`): the set shows how well a first stage finds what that model prefers among passages that BM25, a dense teacher and the
student find, not what people would judge. A passage outside the pool counts as irrelevant, as in any pooled set.

Draws queries of `prepare.web_set.sources` from those in WORK/prepared.pt, takes them, every equal query and every query whose vectors are nearly
theirs out of training there, and writes DATA/eval-NAME.npz in the form of the other sets. A model that was trained on these queries before keeps
what it learnt: compare it with others of the same history.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from prepare import rows_of
from query_weights import QueryWeights, text_frequency
from runtime import Log, pick_device
from teachers import DenseScores, SparseScores, SparseVectors, bm25_weights, load_cross_encoder, mine, mine_sparse, relevance_of_candidates
from tokens import TokenTable, from_lists


def too_near(held: torch.Tensor, unit_vectors: list[torch.Tensor], least_cosine: float) -> torch.Tensor:
    """held [H] rows of the unit vectors [N, D] of each of some models -> [N] bool: rows, the held ones too, that any of the models puts at that
    cosine or above."""
    near = torch.zeros(len(unit_vectors[0]), dtype=torch.bool, device=held.device)
    for vectors in unit_vectors:
        near |= torch.cat([(block @ vectors[held].T).amax(1) >= least_cosine for block in vectors.split(1 << 16)])
    near[held] = True
    return near


def bm25_vectors(docs: TokenTable, keep: int, vocab: int, width: int = 512, block: int = 4096) -> SparseVectors:
    """The saturated term frequencies of every passage; with idf as the query's weights their product is BM25."""
    mean_length, parts = docs.lengths().float().mean().item(), []
    for rows in torch.arange(docs.rows, device=docs.tokens.device).split(block):
        top = bm25_weights(docs.padded(rows, width)[0], mean_length, vocab).topk(keep, dim=1)
        parts.append((top.indices.short(), top.values.bfloat16()))
    return SparseVectors(*(torch.cat(column) for column in zip(*parts)))


def pooled(found: list[torch.Tensor]) -> torch.Tensor:
    """Documents that some systems found, [Q, C] each -> [Q, sum of C] int64, ascending; a repeated one is -1."""
    pool = torch.cat([f.long() for f in found], 1).sort(1).values
    return pool.masked_fill(torch.cat([torch.zeros_like(pool[:, :1], dtype=torch.bool), pool[:, 1:] == pool[:, :-1]], 1), -1)


def grades_of(logits: torch.Tensor, least: list[float]) -> torch.Tensor:
    """The number of thresholds that a logit reaches; 0 for NaN."""
    return (logits.float().nan_to_num(-torch.inf)[..., None] >= torch.tensor(least, device=logits.device)).sum(-1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("config", "data", "models", "work"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    args = parser.parse_args()
    config = json.loads(args.config.read_text())
    settings, relevance = config["prepare"]["web_set"], config["prepare"]["relevance"]
    device, dtype = pick_device()
    log = Log(args.work / "web-set.jsonl")
    generator = torch.Generator(device=device).manual_seed(config["seed"] + 31)
    docs = TokenTable.load(args.data / "docs.npz").to(device)
    weights = QueryWeights.load(args.data, device)
    prepared = torch.load(args.work / "prepared.pt", map_location=device, weights_only=False)
    queries, real = prepared["queries"], prepared["real"]
    dense = {name: DenseScores(*pair) for name, pair in prepared["dense"].items()}

    sources = rows_of(settings["sources"], prepared["source"][:real], prepared["source_names"])
    drawn = sources[torch.randperm(len(sources), generator=generator, device=device)[: settings["drawn"]]]
    asked = queries.bare(drawn, 32)
    depth = settings["depth"]
    found = [mine([scores], [1.0], drawn, depth) for scores in dense.values()]
    found.append(mine_sparse(SparseScores.load(args.work / "sparse-student-terms.pt", device).docs, asked, weights.base(text_frequency(docs, len(weights.idf)), docs.rows), depth))
    found.append(mine_sparse(bm25_vectors(docs, settings["bm25_terms"], len(weights.idf)), asked, weights.idf, depth))
    pool = pooled(found)
    model = load_cross_encoder(args.models / relevance["teacher"], relevance["model"], device, dtype)
    logits = relevance_of_candidates(model, queries, docs, drawn, pool.clamp(min=0)).masked_fill(pool < 0, torch.nan)
    grades = grades_of(logits, settings["grades"])
    kept = (grades > 0).any(1).nonzero().squeeze(1)[: settings["queries"]]
    held, pool, grades = drawn[kept], pool[kept], grades[kept]

    near = too_near(held, [scores.queries[:real] for scores in dense.values()], settings["nearest"])
    trained = int((prepared["weight"][:real] > 0).sum())
    prepared["weight"][:real][near] = 0
    torch.save(prepared, args.work / "prepared.pt")

    others = torch.randperm(docs.rows, generator=generator, device=device)[: settings["distractors"]]
    documents = torch.cat([pool[pool >= 0], others]).unique()
    row, column = (grades > 0).nonzero(as_tuple=True)
    numbers = torch.searchsorted(documents, pool[row, column])
    texts = lambda table, rows: from_lists([table.tokens[int(table.offsets[i]) : int(table.offsets[i + 1])].tolist() for i in rows.tolist()])  # noqa: E731
    told, said = texts(docs.to("cpu"), documents), texts(queries.to("cpu"), held)
    plain = lambda table, kind: {f"{kind}_tokens": table.tokens.numpy().astype(np.uint16), f"{kind}_offsets": table.offsets.numpy()}  # noqa: E731
    np.savez_compressed(
        args.data / f"eval-{settings['name']}.npz", **plain(told, "doc"), **plain(said, "query"),
        qrels=torch.stack([row, numbers, grades[row, column]], 1).int().cpu().numpy(), same=np.zeros((0, 2), np.int32),
    )  # fmt: skip
    by_system = {
        name: round((grades_of(relevance_of_candidates(model, queries, docs, held, f[kept][:, :10]), settings["grades"]) > 0).float().mean().item(), 3)
        for name, f in zip([*dense, "student-terms", "bm25"], found)
    }
    log(drawn=len(drawn), held=len(held), of_training=trained, left_out=trained - int((prepared["weight"][:real] > 0).sum()), documents=len(documents),
        judged=int((pool >= 0).sum()), by_grade=torch.bincount(grades[pool >= 0], minlength=len(settings["grades"]) + 1).tolist(), relevant_in_first_ten=by_system)  # fmt: skip


if __name__ == "__main__":
    main()

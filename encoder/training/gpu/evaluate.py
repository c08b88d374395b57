"""nDCG@10 of a checkpoint, by the definition `winnow eval` uses.

    python evaluate.py CHECKPOINT --data DATA [--sets scifact ...]

Document = title + " " + text cut at 512 tokens; query = set of WordPieces times idf; score = sum idf(t) * w(t, d);
the query's own document is dropped. On the GPU because five sets take four seconds there.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import checkpoint
from model import SparseEncoder
from tokens import TokenTable, query_matrix


@dataclass
class EvalSet:
    docs: TokenTable
    queries: TokenTable
    gains: torch.Tensor
    """[Q, N] float32, graded relevance (0 where unjudged)."""
    own: torch.Tensor
    """[S, 2] pairs (query, document) that are the same text and are left out of the ranking."""


def load_set(data: Path, name: str, device) -> EvalSet:
    with np.load(data / f"eval-{name}.npz") as file:
        table = lambda kind: TokenTable(  # noqa: E731
            torch.from_numpy(file[f"{kind}_tokens"].astype(np.int32)), torch.from_numpy(file[f"{kind}_offsets"])
        ).to(device)
        docs, queries = table("doc"), table("query")
        gains = torch.zeros(queries.rows, docs.rows)
        qrels = torch.from_numpy(file["qrels"]).long()
        gains[qrels[:, 0], qrels[:, 1]] = qrels[:, 2].float()
        return EvalSet(docs, queries, gains.to(device), torch.from_numpy(file["same"]).long().to(device))


def length_sorted_blocks(table: TokenTable, tokens_per_block: int, max_width: int = 512, extra: int = 2):
    """Yields (rows, width): equal-cost blocks of similar length, widths in steps of 32 so few kernel shapes occur."""
    lengths = (table.lengths() + extra).clamp(max=max_width)
    order = lengths.argsort()
    ordered = lengths[order].tolist()
    start = 0
    while start < len(ordered):
        # Take as many rows as fit at the width of the longest one taken.
        end = start + 1
        while end < len(ordered) and (end + 1 - start) * min(-(-ordered[end] // 32) * 32, max_width) <= tokens_per_block:
            end += 1
        yield order[start:end], min(-(-ordered[end - 1] // 32) * 32, max_width)
        start = end


def encode_table(model: SparseEncoder, table: TokenTable, tokens_per_block: int = 65536) -> torch.Tensor:
    """All documents of a table -> [N, V] float16 weights (17 bits of the 24 never changed a ranking)."""
    weights = torch.empty(table.rows, model.config["vocab_size"], dtype=torch.float16, device=table.tokens.device)
    for rows, width in length_sorted_blocks(table, tokens_per_block):
        weights[rows] = model.encode(*table.padded(rows, width)).half()
    return weights


def ndcg_at_10(scores: torch.Tensor, gains: torch.Tensor) -> float:
    """scores, gains [Q, N] -> mean nDCG@10 as trec_eval counts it: gain = grade, discount = log2(rank + 1)."""
    top = min(10, scores.shape[1])
    discount = 1 / torch.log2(torch.arange(2, top + 2, device=scores.device).float())
    got = (gains.gather(1, scores.topk(top, dim=1).indices) * discount).sum(1)
    ideal = (gains.topk(top, dim=1).values * discount).sum(1)
    return (got[ideal > 0] / ideal[ideal > 0]).mean().item()


def query_ids(eval_set: EvalSet) -> torch.Tensor:
    rows = torch.arange(eval_set.queries.rows, device=eval_set.queries.tokens.device)
    return eval_set.queries.bare(rows, int(eval_set.queries.lengths().max()))


def evaluate(model: SparseEncoder, eval_set: EvalSet, idf: torch.Tensor) -> dict[str, float]:
    """nDCG@10, mean terms a document, and the expected postings a query touches (paper section 1.6)."""
    weights = encode_table(model, eval_set.docs)
    queries = query_matrix(query_ids(eval_set), idf.float())
    scores = torch.cat([queries @ block.float().T for block in weights.split(2048)], dim=1)
    scores[eval_set.own[:, 0], eval_set.own[:, 1]] = -torch.inf
    on = weights > 0
    in_query = (queries > 0).float().mean(0)
    return {
        "ndcg10": ndcg_at_10(scores, eval_set.gains),
        "terms": on.sum(1).float().mean().item(),
        "flops": (in_query * on.float().mean(0)).sum().item(),
    }


def load_model(path: Path, config: dict, device, dtype=torch.float32) -> SparseEncoder:
    model = SparseEncoder(config)
    missing, unexpected = model.load_state_dict(checkpoint.load(path), strict=False)
    if missing or unexpected:
        raise ValueError(f"{path}: missing {missing}, unexpected {unexpected}")
    return model.to(device, dtype).eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--config", type=Path, default=Path(__file__).parent / "config" / "winnow-mini.json")
    parser.add_argument("--sets", nargs="*")
    args = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    config = json.loads(args.config.read_text())
    idf = torch.from_numpy(np.load(args.data / "vocab.npz")["idf"]).to(device)
    model = load_model(args.checkpoint, config["model"], device)
    for name in args.sets or config["data"]["eval_sets"]:
        print(name, json.dumps(evaluate(model, load_set(args.data, name, device), idf)), flush=True)


if __name__ == "__main__":
    main()

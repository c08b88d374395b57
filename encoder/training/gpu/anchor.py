"""Holds a model to the one it started from: the same term activations and vectors of the same texts.

B texts, V vocabulary, K kept terms per text, H hidden. Nothing is stored: the reference reads every batch beside the model, so both see the
same cut of a text.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

import losses
from model import SparseEncoder, TwoOutputEncoder


@dataclass
class Outputs:
    """What the reference makes of a batch."""

    terms: torch.Tensor
    """[B, K] int64, the K highest terms."""
    weights: torch.Tensor
    """[B, K] float32 activations without the exponent, 0 where a term is off."""
    vectors: torch.Tensor
    """[B, H] float32, not normalised."""


class Anchor:
    def __init__(self, reference: TwoOutputEncoder, idf: torch.Tensor, keep: int):
        """`keep`: K, at least as many as the terms that either model has on. idf [V] is the importance of a term."""
        self.reference = reference.eval().requires_grad_(False)
        self.idf = idf
        self.keep = keep

    @torch.no_grad()
    def outputs(self, ids: torch.Tensor, mask: torch.Tensor) -> Outputs:
        """ids, mask [B, T]."""
        body = self.reference.bert(ids, mask)
        top = self.reference.pooled_logits(self.reference.transformed(body, mask)).float().topk(self.keep, dim=1)
        return Outputs(top.indices, self.reference.activation(top.values), self.reference.pooled(body, mask))

    @torch.no_grad()
    def outputs_of_queries(self, query_ids: torch.Tensor) -> torch.Tensor:
        """query_ids [Q, L] zero-padded -> the reference's query vectors [Q, H] float32."""
        return self.reference.query_vectors(query_ids)

    def terms(
        self, model: SparseEncoder, states: torch.Tensor, known: Outputs, shares: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """states [B, T, H] of the model's head -> its terms [B, K] and pooled logits [B, K], those of the reference among them, and the
        squared distance relative to the reference's own length (losses.vector_error), each text weighted by `shares` [B]."""
        on = known.weights > 0
        terms, logits = model.top_logits(states, self.keep, known.terms * on)
        target = torch.zeros(len(terms), len(self.idf), device=terms.device).scatter_add_(1, known.terms * on, known.weights).gather(1, terms)
        return terms, logits, losses.vector_error(logits, model.activation(logits), target, self.idf[terms], shares)


def direction_error(own: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """1 - cosine of two vectors of each text, mean over texts: [B, H] each."""
    return 1 - F.cosine_similarity(own, known, dim=1).mean()

"""Query weights as search uses them (query/query-weights.ts), for training and evaluation on a GPU.

Q queries, L tokens per query, V vocabulary.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from tokens import PAD, TokenTable


def text_frequency(docs: TokenTable, vocab: int) -> torch.Tensor:
    """[V] number of documents that have each token in their text, float32."""
    device = docs.tokens.device
    frequency = torch.zeros(vocab, device=device)
    # In blocks of rows, so that the (document, token) pairs of a whole collection are not sorted at once.
    for rows in torch.arange(docs.rows, device=device).split(1 << 16):
        first, last = int(docs.offsets[rows[0]]), int(docs.offsets[rows[-1] + 1])
        owner = torch.repeat_interleave(rows - rows[0], docs.lengths()[rows])
        pairs = torch.unique(owner * vocab + docs.tokens[first:last].long())
        frequency += torch.bincount(pairs % vocab, minlength=vocab)
    return frequency


@dataclass
class QueryWeights:
    """A token weighs sqrt(idf * min(idf, index idf) * occurrences) / (pieces of its word)^.25."""

    idf: torch.Tensor
    """[V] the table's idf, 0 at special ids."""
    continues: torch.Tensor
    """[V] bool: pieces like `##ing`."""

    @staticmethod
    def load(data: Path, device) -> "QueryWeights":
        with np.load(data / "vocab.npz") as file:
            return QueryWeights(torch.from_numpy(file["idf"]).to(device), torch.from_numpy(file["continues"]).to(device))

    def base(self, frequency: torch.Tensor, count: int) -> torch.Tensor:
        """frequency [V] = documents of `count` that have the token in their text -> [V], the weight of a token that is a whole word."""
        index = torch.log(1 + (count - frequency + 0.5) / (frequency + 0.5))
        return (self.idf * torch.minimum(self.idf, index)).clamp(min=0).sqrt()

    def of_tokens(self, ids: torch.Tensor, base: torch.Tensor) -> torch.Tensor:
        """ids [Q, L] zero-padded, base [V] -> [Q, L], the weight of each position's token."""
        inside = ids != PAD
        word = (~self.continues[ids]).cumsum(1)
        together = inside[:, None, :] & inside[:, :, None]
        pieces = ((word[:, :, None] == word[:, None, :]) & together).sum(2)
        occurrences = ((ids[:, :, None] == ids[:, None, :]) & together).sum(2)
        return base[ids] * occurrences.float().sqrt() / pieces.clamp(min=1).float().sqrt().sqrt()

    def matrix(self, ids: torch.Tensor, base: torch.Tensor) -> torch.Tensor:
        """ids [Q, L] zero-padded -> [Q, V]. For a token of several words the pieces of the shortest count."""
        weights = self.of_tokens(ids, base)
        return torch.zeros(len(ids), len(base), device=ids.device).scatter_reduce_(1, ids, weights, "amax")

"""A collection of token sequences as one flat array plus offsets, on the device that uses it.

Why flat: half a million passages of 20 to 256 tokens fit in 100 MB, and a batch is one gather, so no
data-loader process has to keep up with the GPU.
"""

from dataclasses import dataclass

import numpy as np
import torch

PAD, UNK, CLS, SEP, MASK = 0, 100, 101, 102, 103
SPECIAL_IDS = (PAD, UNK, CLS, SEP, MASK)
VOCAB = 30522


@dataclass
class TokenTable:
    """tokens [total] int32 without [CLS]/[SEP]; row i is tokens[offsets[i]:offsets[i+1]]; offsets [N+1] int64."""

    tokens: torch.Tensor
    offsets: torch.Tensor

    @property
    def rows(self) -> int:
        return self.offsets.numel() - 1

    def lengths(self) -> torch.Tensor:
        return self.offsets[1:] - self.offsets[:-1]

    def to(self, device) -> "TokenTable":
        return TokenTable(self.tokens.to(device), self.offsets.to(device))

    def padded(self, rows: torch.Tensor, width: int, prefix: tuple[int, ...] = ()) -> tuple[torch.Tensor, torch.Tensor]:
        """[CLS] prefix row [SEP] [PAD]..., cut to `width`.

        rows [B] -> ids [B, width] int64, mask [B, width] bool.
        """
        start = self.offsets[rows]
        extra = 1 + len(prefix)
        length = (self.offsets[rows + 1] - start).clamp(max=width - extra - 1)
        column = torch.arange(width, device=rows.device)[None, :]
        source = (start[:, None] + column - extra).clamp(0, self.tokens.numel() - 1)
        ids = self.tokens[source].long()
        body_end = (extra + length)[:, None]
        ids = torch.where(column == body_end, SEP, ids)
        ids = torch.where(column > body_end, PAD, ids)
        ids[:, 0] = CLS
        for i, token in enumerate(prefix):
            ids[:, 1 + i] = token
        return ids, column <= body_end

    def bare(self, rows: torch.Tensor, width: int) -> torch.Tensor:
        """Rows cut or zero-padded to `width`, no special tokens: [B] -> [B, width] int64."""
        start = self.offsets[rows]
        length = self.offsets[rows + 1] - start
        column = torch.arange(width, device=rows.device)[None, :]
        ids = self.tokens[(start[:, None] + column).clamp(max=self.tokens.numel() - 1)].long()
        return torch.where(column < length[:, None], ids, PAD)

    def save(self, path) -> None:
        np.savez(path, tokens=self.tokens.cpu().numpy().astype(np.uint16), offsets=self.offsets.cpu().numpy())

    @staticmethod
    def load(path) -> "TokenTable":
        with np.load(path) as file:
            return TokenTable(
                torch.from_numpy(file["tokens"].astype(np.int32)), torch.from_numpy(file["offsets"].astype(np.int64))
            )

    @staticmethod
    def concat(tables: list["TokenTable"]) -> "TokenTable":
        offsets, base = [torch.zeros(1, dtype=torch.int64, device=tables[0].offsets.device)], 0
        for table in tables:
            offsets.append(table.offsets[1:] + base)
            base += int(table.offsets[-1])
        return TokenTable(torch.cat([t.tokens for t in tables]), torch.cat(offsets))


def from_lists(rows: list[list[int]]) -> TokenTable:
    lengths = np.fromiter((len(r) for r in rows), dtype=np.int64, count=len(rows))
    flat = np.fromiter((t for r in rows for t in r), dtype=np.int32, count=int(lengths.sum()))
    offsets = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return TokenTable(torch.from_numpy(flat), torch.from_numpy(offsets))


def query_matrix(ids: torch.Tensor, idf: torch.Tensor) -> torch.Tensor:
    """The inference-free query side: a set of WordPieces weighted by idf (paper section 1.2), without special ids.

    ids [Q, L] zero-padded, idf [V] with 0 at special ids -> [Q, V].
    """
    matrix = torch.zeros(ids.shape[0], idf.numel(), device=idf.device, dtype=idf.dtype)
    return matrix.scatter_(1, ids, idf[ids])


def pairs(query_ids: torch.Tensor, docs: TokenTable, rows: torch.Tensor, width: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """[CLS] query [SEP] document [SEP] [PAD]..., the document cut to fit `width`.

    query_ids [N, L] zero-padded, L <= width - 3; rows [N] -> ids [N, width] int64, mask bool, types (1 from the document on).
    """
    start = docs.offsets[rows]
    first = (query_ids != PAD).sum(1) + 2
    last = first + torch.minimum(docs.offsets[rows + 1] - start, width - 1 - first)
    column = torch.arange(width, device=rows.device)[None, :]
    asked = query_ids.gather(1, (column - 1).clamp(0, query_ids.shape[1] - 1).expand(len(rows), -1))
    told = docs.tokens[(start[:, None] + column - first[:, None]).clamp(0, docs.tokens.numel() - 1)].long()
    ids = torch.where(column < first[:, None], asked, told)
    ids = torch.where((column == first[:, None] - 1) | (column == last[:, None]), SEP, ids)
    ids = torch.where(column > last[:, None], PAD, ids)
    ids[:, 0] = CLS
    inside = column <= last[:, None]
    return ids, inside, ((column >= first[:, None]) & inside).long()

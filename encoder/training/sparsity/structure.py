"""Pair passes that do less: a query computed once, document layers computed at indexing, pooled tokens, early drop.

N pairs, M tokens of all pairs without padding, H hidden.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F

import recipe  # noqa: F401
from model import Attend, CrossEncoder, varlen_attn
from reranker import LAYER

DOCUMENT_AT = 24
"""The position of a document's first token where its states must not depend on the query; queries are that long at most, nearly always."""


def attention_within(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, asking: torch.Tensor, told: torch.Tensor, count: int, width: int) -> torch.Tensor:
    """q [A, heads, d] of the sequences `asking` [A], k and v [B, heads, d] of the sequences `told` [B], both ascending numbers below `count` ->
    [A, heads, d]: every token of a sequence reads all of that sequence's k and v. No sequence has more than `width` tokens."""
    if q.is_cuda and varlen_attn is not None:
        edges = lambda ids: F.pad(torch.bincount(ids, minlength=count).cumsum(0), (1, 0)).int()  # noqa: E731
        return varlen_attn(q.contiguous(), k.contiguous(), v.contiguous(), edges(asking), edges(told), width, width)
    reads = asking[:, None] == told[None]
    out = F.scaled_dot_product_attention(*(x.transpose(0, 1)[None] for x in (q, k, v)), attn_mask=reads)
    return out[0].transpose(0, 1)


def attend(sequence: torch.Tensor, parts: list[tuple[torch.Tensor, torch.Tensor]], count: int, width: int) -> Attend:
    """sequence [M]; parts: (who asks [M] bool, whom they read [M] bool), each token asking in one part."""

    def run(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        out = torch.zeros_like(q)
        for asks, reads in parts:
            rows, keys = asks.nonzero().squeeze(1), reads.nonzero().squeeze(1)
            found = attention_within(q[rows], k[keys], v[keys], sequence[rows], sequence[keys], count, width)
            out = out.index_copy(0, rows, found.to(out.dtype))
        return out

    return run


class StructuredCrossEncoder(CrossEncoder):
    """A cross-encoder with the same weights whose tokens read, or are, fewer."""

    def __init__(self, config: dict, query_alone: bool = False, document_layers: int = 0, pool_after: int = 0, pool: int = 2):
        """query_alone: tokens of the query read the query only, so that one pass serves all of its pairs; [CLS] and the document read everything.
        document_layers: in that many first layers query with [CLS] and document do not read each other, so that a document's states can be
        computed at indexing (PreTTR, 2004.14255). pool_after: after that many layers every `pool` document tokens become their mean."""
        super().__init__(config)
        self.query_alone, self.document_layers, self.pool_after, self.pool = query_alone, document_layers, pool_after, pool

    def parts(self, layer: int, told: torch.Tensor, first: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """told [M]: a token of the document; first [M]: [CLS]."""
        if layer < self.document_layers:
            return [(~told, ~told), (told, told)]
        if self.query_alone:
            asked = ~told & ~first
            return [(asked, asked), (~asked, torch.ones_like(asked))]
        everyone = torch.ones_like(told)
        return [(everyone, everyone)]

    def pooled(self, ids: torch.Tensor, mask: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
        """As CrossEncoder.pooled."""
        (count, width), e = ids.shape, self.bert.embeddings
        kept = mask.flatten().nonzero().squeeze(1)
        sequence, position = kept // width, kept % width
        told = types.flatten()[kept] > 0
        asked = (mask & (types == 0)).sum(1)
        number = position - asked[sequence]
        if self.document_layers:
            position = torch.where(told, (number + DOCUMENT_AT).clamp(max=e.position_embeddings.num_embeddings - 1), position)
        x = e.LayerNorm(e.word_embeddings(ids.flatten()[kept]) + e.position_embeddings(position) + e.token_type_embeddings(told.long()))
        first = kept % width == 0
        for i, layer in enumerate(self.bert.encoder.layer):
            if i and i == self.pool_after:
                x, sequence, told, first = self.merged(x, sequence, told, first, number)
            x = layer(x, attend(sequence, self.parts(i, told, first), count, width), self.bert.heads)
        return torch.tanh(self.bert.pooler.dense(x[first])).float()

    def merged(self, x, sequence, told, first, number):
        """The document's tokens in groups of `pool`, by their number within it; all else stays."""
        begins = ~told | (number % self.pool == 0)
        group = begins.cumsum(0) - 1
        size = torch.bincount(group, minlength=1)[:, None].to(x.dtype)
        merged = torch.zeros(len(size), x.shape[1], dtype=x.dtype, device=x.device).index_add(0, group, x) / size
        return merged, sequence[begins], told[begins], first[begins]


@torch.no_grad()
def early_state(model: CrossEncoder, batches: Iterable[tuple], after: int, ridge: float = 1.0) -> dict[str, torch.Tensor]:
    """The state dict of the first `after` layers with a linear classifier on [CLS] that is fitted, by ridge regression, to the logits of the whole
    model: a cross-encoder without a pooler, for dropping hits early."""
    states: list[torch.Tensor] = []
    rows, wanted = [], []
    hook = model.bert.encoder.layer[after - 1].register_forward_hook(lambda _, args, out: states.append(out))
    try:
        for ids, mask, types in batches:
            wanted.append(model(ids, mask, types).double())
            out = states.pop()
            begins = mask.sum(1).cumsum(0) - mask.sum(1)
            rows.append((out[begins] if out.dim() == 2 else out[:, 0]).double())
    finally:
        hook.remove()
    x, y = torch.cat(rows), torch.cat(wanted)
    middle, level = x.mean(0), y.mean()
    x = x - middle
    weight = torch.linalg.solve(x.T @ x + ridge * torch.eye(x.shape[1], dtype=x.dtype, device=x.device), x.T @ (y - level))
    out = {
        name: value.detach().float()
        for name, value in model.state_dict().items()
        if "pooler" not in name and not name.startswith("classifier") and not (name.startswith(LAYER) and int(name.removeprefix(LAYER).split(".")[0]) >= after)
    }
    return {**out, "classifier.weight": weight.float()[None], "classifier.bias": (level - middle @ weight).float()[None]}

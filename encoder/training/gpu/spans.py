"""Span queries: random runs of whole words from documents, labelled by the teachers alone.

They need no judgements, cover every domain that has text, and improved every evaluation set.
"""

import torch

from tokens import TokenTable


def draw_spans(
    docs: TokenTable, doc_weight: torch.Tensor, continues: torch.Tensor, count: int, generator: torch.Generator, longest: int = 24, short_share: float = 0.0
) -> tuple[TokenTable, torch.Tensor]:
    """Draws up to `count` spans -> the spans and the document of each.

    Lengths are log-uniform in 2..longest, because queries of two words are more frequent than queries of twenty. A further
    `short_share` of the spans has 2..6 tokens, the length of lay queries.
    A span starts at the start of a word and ends at the end of one.
    doc_weight [N] >= 0: relative frequency with which a document is drawn; continues [V] bool: pieces like `##ing`.
    """
    device = docs.tokens.device
    uniform = lambda n: torch.rand(n, generator=generator, device=device)  # noqa: E731
    cumulative = doc_weight.double().cumsum(0)
    source = torch.searchsorted(cumulative, uniform(count).double() * cumulative[-1]).clamp(max=docs.rows - 1)
    limit = torch.where(uniform(count) < short_share, 6.0, float(longest))
    length = (2 * (limit / 2) ** uniform(count)).round().long()
    size = docs.lengths()[source]
    length = torch.minimum(length, size)
    start = docs.offsets[source] + (uniform(count) * (size - length + 1)).long()

    column = torch.arange(longest + 1, device=device)[None, :]
    position = (start[:, None] + column).clamp(max=docs.tokens.numel() - 1)
    pieces = docs.tokens[position].long()
    inside = column < length[:, None]
    # The end of a document always ends a word, although the flat array continues with the next document.
    at_end = (start + length) >= docs.offsets[source + 1]
    starts_word = ~continues[pieces]
    after = starts_word.gather(1, length[:, None]).squeeze(1) | at_end
    first = torch.where(starts_word & inside, column, longest + 1).amin(1)
    last_start = torch.where(starts_word & inside, column, -1).amax(1)
    end = torch.where(after, length, last_start)
    keep = (end - first) >= 2

    source, start, first, end = source[keep], start[keep], first[keep], end[keep]
    lengths = end - first
    offsets = torch.zeros(lengths.numel() + 1, dtype=torch.int64, device=device)
    offsets[1:] = lengths.cumsum(0)
    row = torch.repeat_interleave(torch.arange(lengths.numel(), device=device), lengths)
    within = torch.arange(int(offsets[-1]), device=device) - offsets[row]
    return TokenTable(docs.tokens[(start + first)[row] + within], offsets), source

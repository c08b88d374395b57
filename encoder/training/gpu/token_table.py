"""Fits a table of token vectors to the query vectors of the model itself, where training of the table starts.

A query's vector without a model is the sum of its tokens' vectors, each times the token's weight. Free entries learn slowly from a
ranking loss, since a rare token occurs in few batches; the model's own vectors of all queries are a target that reaches every token.
"""

import torch
import torch.nn.functional as F

from model import TwoOutputEncoder
from query_weights import QueryWeights
from tokens import TokenTable


@torch.no_grad()
def query_targets(model: TwoOutputEncoder, queries: TokenTable, rows: torch.Tensor, width: int, size: int, block: int = 8192) -> torch.Tensor:
    """rows [R] of `queries` -> [R, size] float32 unit vectors, the first numbers of the model's own."""
    return torch.cat([F.normalize(model.query_vectors(queries.bare(part, width))[:, :size], dim=1) for part in rows.split(block)])


def fit_table(
    model: TwoOutputEncoder, queries: TokenTable, weights: QueryWeights, base: torch.Tensor, width: int,
    steps: int = 600, batch: int = 8192, most: int = 400_000, held: int = 8192, lr: float = 0.02, seed: int = 3,
) -> dict[str, float]:  # fmt: skip
    """Changes `model.token.table`. base [V]: QueryWeights.base -> mean cosine of held-out queries with the model's vectors, before and after.

    Plain Adam with a falling rate on 1 - cosine, over a sample of `most` queries.
    """
    device = queries.tokens.device
    generator = torch.Generator(device=device).manual_seed(seed)
    rows = torch.randperm(queries.rows, generator=generator, device=device)[:most]
    held = min(held, len(rows) // 4)
    size = model.token.table.weight.shape[1]
    target = query_targets(model, queries, rows, width, size)
    table = model.token.table.weight.detach().float().clone().requires_grad_(True)

    def cosine(at: torch.Tensor) -> torch.Tensor:
        ids = queries.bare(rows[at], width)
        summed = (F.embedding(ids, table) * weights.of_tokens(ids, base)[:, :, None]).sum(1)
        return (F.normalize(summed, dim=1) * target[at]).sum(1).mean()

    apart = torch.arange(held, device=device)
    with torch.no_grad():
        before = cosine(apart).item()
    adam = torch.optim.Adam([table], lr=lr)
    for step in range(steps):
        at = torch.randint(held, len(rows), (min(batch, len(rows) - held),), generator=generator, device=device)
        loss = 1 - cosine(at)
        adam.zero_grad()
        loss.backward()
        adam.param_groups[0]["lr"] = lr * (1 - step / steps)
        adam.step()
    with torch.no_grad():
        after = cosine(apart).item()
        model.token.table.weight.copy_(table)
    return {"before": round(before, 4), "after": round(after, 4), "queries": len(rows)}

"""Activation sparsity of the feed-forward layers and of the products before them.

Two ways. *Thresholds* need no training: inputs of a matrix with a low score are set to 0, so that a kernel need not read their
weights. *Sparse feed-forward layers* replace GELU by ReLU, or by the highest ReLUs of each token, and are trained.
M tokens, I inputs of a matrix, E hidden units of a feed-forward layer.
"""

from collections.abc import Iterable

import torch
from torch import nn

import recipe  # noqa: F401
from model import CrossEncoder
from patterns import ROLES

CHUNK = 8
"""Tokens that a kernel multiplies together: it can leave out only weights that none of them needs."""


class SparseActivation(nn.Module):
    """ReLU, or the `share` of a token's E units with the highest ReLU (Lazy Neuron, 2210.06313): [M, E] -> [M, E]."""

    def __init__(self, share: float = 1.0):
        super().__init__()
        self.share = share
        self.last: torch.Tensor | None = None
        """What the last forward pass of a model in training returned, for `chunk_loss`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = torch.relu(x)
        if self.share < 1:
            least = out.topk(max(1, round(self.share * out.shape[-1])), dim=-1).values[..., -1:]
            out = torch.where(out >= least, out, 0)
        self.last = out if torch.is_grad_enabled() else None
        return out


def make_sparse(model: CrossEncoder, share: float = 1.0) -> None:
    for layer in model.bert.encoder.layer:
        layer.activate = SparseActivation(share)


def chunk_loss(model: CrossEncoder, chunk: int = CHUNK) -> torch.Tensor:
    """The expected share of units that `chunk` consecutive tokens use together, mean over layers (BlockFFN's chunk-level sparsification,
    2507.08771 section 3.3), of the model's last forward pass; 0..1.

    The paper's routers give probabilities. Here a unit's is a / (a + mean a), in 0..1 and 0 where ReLU is off.
    """
    parts = []
    for layer in model.bert.encoder.layer:
        a = layer.activate.last.flatten(0, -2).float()
        a = a[: len(a) // chunk * chunk]
        used = a / (a + a.detach().mean() + 1e-6)
        unused = torch.log1p(-used.clamp(max=1 - 1e-5)).view(-1, chunk, a.shape[1]).sum(1)
        parts.append(1 - unused.exp().mean())
    return torch.stack(parts).mean()


@torch.no_grad()
def units_used(model: CrossEncoder, batches: Iterable[tuple]) -> list[list[float]]:
    """Per layer with a SparseActivation: the part of the units that a token uses, and the part that a chunk of tokens uses together."""
    parts: list[list[list[float]]] = [[] for _ in model.bert.encoder.layer]

    def watch(into: list):
        def hook(_, args, out):
            on = out.flatten(0, -2)[:8192] > 0
            on = on[: len(on) // CHUNK * CHUNK]
            into.append([on.float().mean().item(), on.view(-1, CHUNK, on.shape[1]).any(1).float().mean().item()])

        return hook

    hooks = [layer.activate.register_forward_hook(watch(into)) for layer, into in zip(model.bert.encoder.layer, parts)]
    for inputs in batches:
        model(*inputs)
    for hook in hooks:
        hook.remove()
    return [[round(sum(column) / len(column), 4) for column in zip(*seen)] for seen in parts]


def thresholds(kind: str, rows: torch.Tensor, weight: torch.Tensor, sparsity: float) -> tuple[torch.Tensor, torch.Tensor]:
    """What sets `sparsity` of the inputs to 0 on calibration inputs rows [M, I], weight [O, I] -> importance [I] and threshold [I]: an input is
    kept if |x| * importance >= threshold.

    `magnitude`: one threshold of |x| (CATS, 2404.08763; TEAL). `weighted`: of |x| times the norm of the weights that it meets (WINA, 2505.19427;
    R-Sparse's score is the same). `channel`: a threshold for each input (CHESS, 2409.01366, without the gate that this model does not have).
    """
    size = rows.float().abs()
    importance = torch.ones(rows.shape[1], device=rows.device)
    if kind == "channel":
        return importance, size.sort(0).values[round(sparsity * (len(size) - 1))]
    if kind == "weighted":
        importance = weight.float().norm(dim=0)
    elif kind != "magnitude":
        raise ValueError(f"activation score {kind!r}: expected magnitude, weighted or channel")
    scores = (size * importance).flatten().sort().values
    level = scores[round(sparsity * (len(scores) - 1))]
    return importance, level.expand(rows.shape[1])


class Thresholds:
    """Puts thresholds before matrices of a model, and counts what they leave out."""

    def __init__(self, model: CrossEncoder, batches: Iterable[tuple], kind: str, sparsity: float, roles: list[str], tokens: int = 2048):
        """roles: of `projection`, `intermediate`, `output` (query, key and value read the residual stream as one product, which stays whole).
        batches: pairs (tokens.pairs) to calibrate on; `tokens` of each are looked at."""
        self.places = {(i, role): layer.get_submodule(ROLES[role]) for i, layer in enumerate(model.bert.encoder.layer) for role in roles}
        seen: dict[tuple[int, str], list[torch.Tensor]] = {place: [] for place in self.places}
        watch = lambda place: lambda _, args: seen[place].append(args[0].detach().flatten(0, -2)[:: max(1, args[0].numel() // args[0].shape[-1] // tokens)])  # noqa: E731
        hooks = [module.register_forward_pre_hook(watch(place)) for place, module in self.places.items()]
        with torch.no_grad():
            for inputs in batches:
                model(*inputs)
        for hook in hooks:
            hook.remove()
        self.zeros: dict[str, list[float]] = {role: [0.0, 0.0, 0.0] for role in roles}
        for place, module in self.places.items():
            importance, level = thresholds(kind, torch.cat(seen[place]), module.weight, sparsity)
            module.register_forward_pre_hook(self.cut(place[1], importance, level))

    def cut(self, role: str, importance: torch.Tensor, level: torch.Tensor):
        def hook(_, args):
            x = args[0]
            kept = x.float().abs() * importance >= level
            self.count(role, kept.flatten(0, -2))
            return (torch.where(kept, x, 0),)

        return hook

    def count(self, role: str, kept: torch.Tensor) -> None:
        """Of at most 512 rows, since only a mean is wanted."""
        kept = kept[:512][: len(kept) // CHUNK * CHUNK]
        if len(kept) >= CHUNK:
            total = self.zeros[role]
            total[0] = total[0] + (~kept).float().mean()
            total[1] = total[1] + (~kept.view(-1, CHUNK, kept.shape[1]).any(1)).float().mean()
            total[2] += 1

    def measured(self) -> dict[str, list[float]]:
        """Per role: the part of a token's inputs that were 0, and the part that was 0 in all tokens of a chunk."""
        return {role: [round(float(total[i] / max(total[2], 1)), 4) for i in (0, 1)] for role, total in self.zeros.items()}

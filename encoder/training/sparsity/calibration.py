"""What the inputs of each matrix look like on training pairs: for masks that weigh a weight by its input."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from patterns import ROLES
from model import CrossEncoder, SparseEncoder


@dataclass
class InputStatistics:
    """Of one matrix's inputs over all tokens, each [I] float32."""

    mean: torch.Tensor
    square: torch.Tensor

    @property
    def variance(self) -> torch.Tensor:
        return (self.square - self.mean.square()).clamp(min=0)

    @property
    def norm(self) -> torch.Tensor:
        """Root of the mean square: an input's norm over the tokens, up to a factor that all inputs share."""
        return self.square.sqrt()


class _Sums:
    def __init__(self):
        self.count = 0
        self.total: torch.Tensor | float = 0.0
        self.squares: torch.Tensor | float = 0.0

    def add(self, rows: torch.Tensor) -> None:
        rows = rows.detach().flatten(0, -2).float()
        self.count += len(rows)
        self.total = self.total + rows.sum(0)
        self.squares = self.squares + rows.square().sum(0)

    def statistics(self) -> InputStatistics:
        return InputStatistics(self.total / self.count, self.squares / self.count)


@torch.no_grad()
def input_statistics(model: CrossEncoder | SparseEncoder, batches: Iterable[tuple]) -> dict[str, InputStatistics]:
    """Runs what `Bert` reads (ids, mask, types) through a model's body -> parameter name of every matrix that may be sparse -> its inputs.

    On a GPU padding is removed before the layers, so that it does not count; on a CPU it does.
    """
    sums: dict[tuple[int, str], _Sums] = {}
    hooks = []

    def watch(module: nn.Module, layer: int, key: str) -> None:
        box = sums.setdefault((layer, key), _Sums())
        hooks.append(module.register_forward_pre_hook(lambda _, args: box.add(args[0])))

    for i, layer in enumerate(model.bert.encoder.layer):
        # One product computes query, key and value, so none of the three modules is called: their input is the layer's.
        watch(layer, i, "layer")
        for role in ("projection", "intermediate", "output"):
            watch(layer.get_submodule(ROLES[role]), i, role)
    try:
        for inputs in batches:
            model.bert(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return {
        f"bert.encoder.layer.{i}.{module}.weight": sums[i, role if (i, role) in sums else "layer"].statistics()
        for i in range(len(model.bert.encoder.layer))
        for role, module in ROLES.items()
    }

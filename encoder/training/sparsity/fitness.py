"""How far an allocation is from the dense model: KL of its rankings, with every matrix pruned beforehand at every level."""

from collections.abc import Iterable

import torch
from torch import nn

import recipe  # noqa: F401
import losses
from allocation import GENES, Allocation
from calibration import InputStatistics
from model import CrossEncoder
from patterns import ROLES, assign
from scores import masks


class PrunedParent:
    """A copy of a dense model whose matrices take any level. Levels share everything that is dense."""

    def __init__(self, model: CrossEncoder, levels: list[str], statistics: dict[str, InputStatistics], kind: str):
        """kind: how masks are chosen (`scores.masks`), not random."""
        self.model = model
        self.layers = list(model.bert.encoder.layer)
        self.parameters = dict(model.named_parameters())
        names = list(self.parameters)
        dense = {name: p.detach().clone() for name, p in self.parameters.items()}
        self.weights: dict[str, dict[str, torch.Tensor]] = {}
        for level in levels:
            chosen = masks(kind, dense, assign(names, {"default": level}), statistics)
            self.weights[level] = {name: dense[name] * chosen[name] if name in chosen else dense[name] for name in dense}

    @torch.no_grad()
    def use(self, allocation: Allocation) -> None:
        for i, row in enumerate(allocation.levels):
            for roles, level in zip(GENES.values(), row):
                for role in roles:
                    name = f"bert.encoder.layer.{i}.{ROLES[role]}.weight"
                    self.parameters[name].copy_(self.weights[level][name])
        self.model.bert.encoder.layer = nn.ModuleList(l for l, gone in zip(self.layers, allocation.dropped) if not gone)

    def state(self, allocation: Allocation) -> dict[str, torch.Tensor]:
        """The state dict of an allocation; without its dropped layers, the others numbered from 0."""
        self.use(allocation)
        return {name: value.detach().float().clone() for name, value in self.model.state_dict().items()}


class Distance:
    """The fitness of a search: KL to the dense logits on fixed batches of pairs."""

    def __init__(self, pruned: PrunedParent, dense: CrossEncoder, batches: Iterable[tuple], count: int, temperature: float):
        """batches: pairs (tokens.pairs), `count` documents per query."""
        self.pruned, self.count, self.temperature = pruned, count, temperature
        with torch.no_grad():
            self.batches = [(inputs, dense(*inputs).view(-1, count)) for inputs in batches]
        self.evaluations = 0

    @torch.no_grad()
    def __call__(self, allocation: Allocation, batches: int) -> float:
        self.pruned.use(allocation)
        total = 0.0
        for inputs, wanted in self.batches[:batches]:
            logits = self.pruned.model(*inputs).view(-1, self.count)
            total = total + losses.kl_to_teacher(logits / self.temperature, wanted / self.temperature)
        self.evaluations += batches
        return (total / min(batches, len(self.batches))).item()

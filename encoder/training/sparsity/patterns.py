"""Patterns of zeros that the kernels skip, and the matrices that have them.

O outputs, I inputs. A weight is [O, I], as PyTorch and the kernels store it. A pattern drops whole units of `block` consecutive inputs
of one output; of `of` consecutive units (0: of all units of the output) at most `kept` remain.
"""

import re
from dataclasses import dataclass, replace

import torch

import recipe  # noqa: F401

ROLES = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "projection": "attention.output.dense",
    "intermediate": "intermediate.dense",
    "output": "output.dense",
}
"""The matrices of a layer that may be sparse. Embeddings, LayerNorms, pooler and classifier stay dense."""

_MATRIX = re.compile(r"bert\.encoder\.layer\.(\d+)\.(.+)\.weight")


@dataclass(frozen=True)
class Pattern:
    name: str
    block: int
    of: int
    density: float

    def group(self, inputs: int) -> tuple[int, int]:
        """Units of one group, and how many of them are kept."""
        units = self.of or inputs // self.block
        return units, round(self.density * units)

    def at_least(self, density: float) -> "Pattern":
        """The same pattern, not sparser than `density`: a step on the way to it."""
        return replace(self, density=max(self.density, density))


DENSE = Pattern("dense", 1, 1, 1.0)


def parse(name: str) -> Pattern:
    """`dense`, `4:16` (4 of 16 consecutive inputs), or `4x1 75%` (three quarters of the blocks of 4 inputs x 1 output are 0)."""
    if name == "dense":
        return DENSE
    if found := re.fullmatch(r"(\d+):(\d+)", name):
        kept, of = int(found[1]), int(found[2])
        return Pattern(name, 1, of, kept / of)
    if found := re.fullmatch(r"(\d+)x1 ([\d.]+)%", name):
        return Pattern(name, int(found[1]), 0, 1 - float(found[2]) / 100)
    raise ValueError(f"pattern {name!r}: expected dense, N:M or Bx1 P%")


def units(scores: torch.Tensor, pattern: Pattern) -> torch.Tensor:
    """[O, I] scores -> [O * groups, units of a group], each unit's sum."""
    outputs, inputs = scores.shape
    of = pattern.group(inputs)[0]
    if inputs % (pattern.block * of):
        raise ValueError(f"{pattern.name}: {inputs} inputs are not a multiple of {pattern.block * of}")
    return scores.reshape(-1, pattern.block).sum(1).view(-1, of)


def spread(kept: torch.Tensor, shape: torch.Size, pattern: Pattern) -> torch.Tensor:
    """The inverse of `units`, for a mask: [O * groups, units of a group] bool -> [O, I] bool."""
    return kept.reshape(-1, 1).expand(-1, pattern.block).reshape(shape)


def mask_of(scores: torch.Tensor, pattern: Pattern) -> torch.Tensor:
    """[O, I] scores -> [O, I] bool: exactly the pattern's number of units with the highest sums in every group."""
    grouped = units(scores, pattern)
    kept = pattern.group(scores.shape[1])[1]
    chosen = torch.zeros_like(grouped, dtype=torch.bool)
    return spread(chosen.scatter(1, grouped.topk(kept, dim=1).indices, True), scores.shape, pattern)


def holds(weight: torch.Tensor, pattern: Pattern) -> bool:
    """Whether no group has more units with a weight than the pattern allows."""
    used = units((weight != 0).float(), pattern) > 0
    return bool((used.sum(1) <= pattern.group(weight.shape[1])[1]).all())


def place(name: str) -> tuple[int, str] | None:
    """The layer and role of a parameter, or None if it stays dense."""
    found = _MATRIX.fullmatch(name)
    role = found and next((role for role, module in ROLES.items() if module == found[2]), None)
    return (int(found[1]), role) if role else None


def assign(names: list[str], settings: dict[str, str]) -> dict[str, Pattern]:
    """The pattern of every matrix that is not dense. Keys of `settings`: a role of one layer ("3.output"), a role, or "default"."""
    unknown = [key for key in settings if key != "default" and key.split(".")[-1] not in ROLES]
    if unknown:
        raise ValueError(f"no such matrices: {unknown}; roles are {', '.join(ROLES)}")
    out = {}
    for name in names:
        if where := place(name):
            layer, role = where
            pattern = parse(settings.get(f"{layer}.{role}", settings.get(role, settings.get("default", "dense"))))
            if pattern.name != "dense":
                out[name] = pattern
    return out


def described(state: dict[str, torch.Tensor]) -> dict[str, str]:
    """What the zeros of each matrix amount to: the largest number of weights in 16 consecutive inputs, and the density."""
    out = {}
    for name, weight in state.items():
        if where := place(name):
            used = (weight != 0).float()
            most = int(used.view(-1, 16).sum(1).max())
            blocks = (used.view(-1, 4).sum(1) > 0).float().mean().item()
            out[f"{where[0]}.{where[1]}"] = f"{most}:16, {used.mean().item():.3f} of weights, {blocks:.3f} of 4x1 blocks"
    return out

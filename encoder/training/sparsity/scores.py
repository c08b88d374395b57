"""Masks without training: magnitude, random, Wanda, and DSnoT's repair.

A score is an energy (a square), so that a block's score is the sum of its weights' scores.
"""

import torch

from calibration import InputStatistics
from patterns import Pattern, mask_of, spread, units


def magnitude(weight: torch.Tensor) -> torch.Tensor:
    return weight.float().square()


def random(weight: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
    return torch.rand(weight.shape, generator=generator, device=weight.device)


def wanda(weight: torch.Tensor, inputs: InputStatistics) -> torch.Tensor:
    """(|weight| * norm of its input)^2 (2306.11695 section 3)."""
    return weight.float().square() * inputs.square


def repair(weight: torch.Tensor, mask: torch.Tensor, pattern: Pattern, inputs: InputStatistics, cycles: int = 50, power: float = 1.0) -> torch.Tensor:
    """DSnoT (2310.08915 section 3): exchanges kept and dropped units of an output until what it lost on average is close to 0.

    lost[o] = sum over dropped weights of w * mean input. Each cycle an output regrows the dropped unit that moves lost most towards
    0, relative to its input's variance, and drops the unit with the smallest Wanda score of the same group. An output stops when
    an exchange would not bring it closer to 0. weight [O, I], mask [O, I] -> a mask of the same pattern.
    """
    outputs = len(weight)
    unit = lambda values: units(values, pattern).view(outputs, -1)  # noqa: E731
    of = pattern.group(weight.shape[1])[0]
    contribution = unit(weight.float() * inputs.mean)
    energy = unit(wanda(weight, inputs))
    spread_of = unit(inputs.variance.expand(weight.shape)).clamp(min=1e-12).pow(power)
    kept = unit(mask.float()) > 0
    group = torch.arange(contribution.shape[1], device=weight.device) // of
    lost = (contribution * ~kept).sum(1)
    active = torch.ones(outputs, dtype=torch.bool, device=weight.device)
    rows = torch.arange(outputs, device=weight.device)
    for _ in range(cycles):
        gain = contribution / spread_of * torch.where(lost > 0, 1.0, -1.0)[:, None]
        grown = torch.where(kept, -torch.inf, gain).argmax(1)
        beside = kept & (group[None] == group[grown][:, None])
        dropped = torch.where(beside, energy, torch.inf).argmin(1)
        moved = lost - contribution[rows, grown] + contribution[rows, dropped]
        active = active & (moved.abs() < lost.abs()) & ~kept[rows, grown] & beside.any(1)
        if not active.any():
            break
        kept[rows[active], grown[active]] = True
        kept[rows[active], dropped[active]] = False
        lost = torch.where(active, moved, lost)
    return spread(kept, mask.shape, pattern)


def masks(
    kind: str,
    weights: dict[str, torch.Tensor],
    patterns: dict[str, Pattern],
    statistics: dict[str, InputStatistics] | None = None,
    generator: torch.Generator | None = None,
) -> dict[str, torch.Tensor]:
    """`magnitude`, `random`, `wanda`, or one of them followed by `+dsnot` -> the mask of every matrix that has a pattern."""
    first, *repairs = kind.split("+")
    if first not in ("magnitude", "random", "wanda") or repairs not in ([], ["dsnot"]):
        raise ValueError(f"masks {kind!r}: expected magnitude, random or wanda, with +dsnot or without")
    out = {}
    for name, pattern in patterns.items():
        weight = weights[name]
        if first == "wanda":
            found = wanda(weight, statistics[name])
        else:
            found = magnitude(weight) if first == "magnitude" else random(weight, generator)
        mask = mask_of(found, pattern)
        out[name] = repair(weight, mask, pattern, statistics[name]) if repairs else mask
    return out

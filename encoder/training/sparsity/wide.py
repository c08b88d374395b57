"""Sparse-wide networks (Sparse-IFT, 2303.11525 section 3): more units, each with fewer weights, for the same number of multiplications."""

import torch

import recipe  # noqa: F401
from patterns import ROLES, place


def alternating(weight: torch.Tensor, kept: int, of: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    """[O, I] -> two masks that share nothing, each with `kept` of `of` consecutive inputs. Ranked by magnitude, the first and every other pair
    of the 2 * `kept` largest go to one and the rest to the other, so that both get their part of the large ones."""
    groups = weight.reshape(-1, of)
    order = groups.abs().argsort(dim=1, descending=True)
    ranks = torch.arange(2 * kept)
    ours = (ranks + 1) // 2 % 2 == 0
    masks = []
    for mine in (ours, ~ours):
        chosen = torch.zeros_like(groups, dtype=torch.bool)
        masks.append(chosen.scatter(1, order[:, ranks[mine].to(order.device)], True).view(weight.shape))
    return masks[0], masks[1]


def widened(state: dict[str, torch.Tensor], kept: int = 4) -> dict[str, torch.Tensor]:
    """A model with twice the units in every feed-forward layer, at `kept`:16 there: each unit twice, with complementary parts of its weights.

    A unit's kept weights are scaled to the energy of all, so that its input has the size it had; both copies together replace it in the output.
    """
    out = dict(state)
    for name, weight in state.items():
        where = place(name)
        if where is None or where[1] not in ("intermediate", "output"):
            continue
        masks = alternating(weight, kept)
        if where[1] == "intermediate":
            scaled = [weight * m * (weight.square().sum(1) / (weight * m).square().sum(1).clamp(min=1e-12)).sqrt()[:, None] for m in masks]
            out[name] = torch.cat(scaled)
            bias = name.removesuffix("weight") + "bias"
            out[bias] = state[bias].repeat(2)
        else:
            out[name] = torch.cat([weight * m for m in masks], dim=1)
    return out


def intermediate_size(state: dict[str, torch.Tensor]) -> int:
    return state[f"bert.encoder.layer.0.{ROLES['intermediate']}.weight"].shape[0]

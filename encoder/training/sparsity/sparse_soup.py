"""Averages of several retrains of one mask (Sparse Model Soups, 2306.16788): the mean has the mask's zeros, too."""

import torch

import recipe  # noqa: F401
from patterns import place


def zeros_in_common(states: list[dict[str, torch.Tensor]]) -> None:
    """Raises ValueError unless all states have their zeros at the same places, so that a mean is as sparse as each.

    A few kept weights round to 0 in int8 and differ from model to model."""
    for name, first in states[0].items():
        if place(name):
            for state in states[1:]:
                if ((first == 0) != (state[name] == 0)).float().mean() > 0.01:
                    raise ValueError(f"{name}: the zeros of the averaged models differ")


def average(states: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """The mean of states with one mask. Where a kept weight is 0 by chance in one of them, the mean keeps it."""
    zeros_in_common(states)
    return {name: sum(state[name].float() for state in states) / len(states) for name in states[0]}

"""Progressive gradient flow (2402.04744 section 3): dropped weights lose their part step by step, and their gradient with it.

`MaskDecay`: the forward pass multiplies w * (mask + (1 - mask) * d), d falls from 1 to 0 until `decay_until`; the gradient has the
same factor. `StructureDecay`: the pattern itself becomes sparser in equal frames, 15:16 -> 8:16 -> 4:16.
"""

import math

import torch

from method import Matrix, Method


class MaskDecay(Method):
    defaults = {"decay": "linear", "decay_until": 0.6, "rate": 6.0, "every": 5, "freeze_at": 0.75}
    """`decay`: linear, or exponential with exp(-rate * progress), cut to 0 from `decay_until` on."""

    def part(self, progress: float) -> float:
        """d, the part that a dropped weight still has."""
        s = self.settings
        if progress >= s["decay_until"]:
            return 0.0
        return math.exp(-s["rate"] * progress) if s["decay"] == "exponential" else 1 - progress / s["decay_until"]

    def factor(self, m: Matrix, progress: float) -> torch.Tensor:
        return torch.where(m.mask, 1.0, self.part(progress))

    @torch.no_grad()
    def change_gradients(self, progress: float) -> None:
        for m in self.matrices.values():
            m.master.grad.mul_(self.factor(m, progress))

    def effective(self, m: Matrix, progress: float) -> torch.Tensor:
        return m.master * self.factor(m, progress)


class StructureDecay(Method):
    """What is dropped keeps its last value and gets no gradient, so that it returns only if kept weights shrink below it."""

    defaults = {"frames": [[0.15, 15 / 16], [0.3, 0.5], [0.45, 0.375]], "every": 5, "freeze_at": 0.5}

"""Iterative soft shrinkage (2303.09650 section 3.3): in every step what the pattern would drop becomes a little smaller, not 0.

The forward pass multiplies all weights; masks follow the magnitudes, so that a weight that grows faster than it is shrunk returns.
"""

import torch

from method import Matrix, Method


class SoftShrinkage(Method):
    defaults = {"shrink": 0.02, "every": 1, "freeze_at": 0.75}
    """`shrink`: the part that a dropped weight loses per step at the end; it grows linearly from 0."""

    @torch.no_grad()
    def change_gradients(self, progress: float) -> None:
        if self.frozen(progress):
            super().change_gradients(progress)

    @torch.no_grad()
    def change_weights(self, lr: float, progress: float) -> None:
        if not self.frozen(progress):
            part = self.settings["shrink"] * progress / self.settings["freeze_at"]
            for m in self.matrices.values():
                m.master.mul_(torch.where(m.mask, 1.0, 1 - part))
        super().change_weights(lr, progress)

    def effective(self, m: Matrix, progress: float) -> torch.Tensor:
        return m.master * m.mask if self.frozen(progress) else m.master

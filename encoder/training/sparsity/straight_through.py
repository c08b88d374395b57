"""SR-STE, for N of 16 and blocks (2102.04010 section 3): masks by magnitude, chosen again and again, while all weights train.

The forward pass multiplies w * mask; the gradient reaches the dense weight unchanged (straight through), plus
`pull` * (1 - mask) * w, which shrinks what is dropped and so keeps masks from flickering.
With `frames` the pattern becomes sparser in steps: gradual magnitude pruning.
"""

import torch

from method import Method


class StraightThrough(Method):
    defaults = {"pull": 2e-4, "every": 5, "freeze_at": 0.75}

    @torch.no_grad()
    def change_gradients(self, progress: float) -> None:
        for m in self.matrices.values():
            if self.frozen(progress):
                m.master.grad.mul_(m.mask)
            else:
                m.master.grad.add_(m.master * ~m.mask, alpha=self.settings["pull"])

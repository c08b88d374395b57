"""CAST (2509.25996): no hard mask until the end; what the mask drops decays to 0 while everything trains.

Masks are chosen by magnitude every `every` steps. Dropped weights move towards 0 by an L1 step that grows over the run and is
larger where Adam's own steps are (AdamS); one learned factor per output makes up for the lost length. Distillation from the dense
parent is part of the objective, not of this file. The paper's code is not public: the form of the decay is this project's.
"""

import torch

from method import Matrix, Method


class Cast(Method):
    defaults = {"strength": 6.0, "grow_until": 0.6, "every": 10, "freeze_at": 0.75, "scale_lr": 1e-3, "most": 10.0}
    """`strength`: the mean L1 step at `grow_until`, in learning rates. `most`: the largest multiple of it for one weight."""

    def __init__(self, matrices: dict[str, Matrix], settings: dict, second_moment=None):
        """second_moment: master -> Adam's running mean of squared gradients [O, I], or None before the first step."""
        self.second_moment = second_moment or (lambda master: None)
        for m in matrices.values():
            m.own["factor"] = torch.ones(len(m.master), 1, device=m.master.device)
            m.own["factor"].grad = torch.zeros_like(m.own["factor"])
        self.factors = [m.own["factor"] for m in matrices.values()]
        self.adam = torch.optim.Adam(self.factors, lr=0.0, betas=(0.9, 0.98))
        super().__init__(matrices, settings)

    @torch.no_grad()
    def change_gradients(self, progress: float) -> None:
        for m in self.matrices.values():
            raw = m.master.grad
            m.own["factor"].grad.copy_((raw * m.master).sum(1, keepdim=True))
            raw.mul_(m.own["factor"])
            if self.frozen(progress):
                raw.mul_(m.mask)

    @torch.no_grad()
    def change_weights(self, lr: float, progress: float) -> None:
        s = self.settings
        # The factors follow the schedule of the weights.
        self.first_lr = max(lr, getattr(self, "first_lr", lr))
        self.adam.param_groups[0]["lr"] = s["scale_lr"] * lr / max(self.first_lr, 1e-12)
        self.adam.step()
        if not self.frozen(progress):
            step = lr * s["strength"] * min(1.0, progress / s["grow_until"])
            for m in self.matrices.values():
                self.shrink(m, step)
        super().change_weights(lr, progress)

    def shrink(self, m: Matrix, step: float) -> None:
        moment = self.second_moment(m.master)
        size = torch.full_like(m.master, step)
        if moment is not None:
            deviation = moment.sqrt()
            size = step * (deviation.mean() / (deviation + 1e-12)).clamp(max=self.settings["most"])
        smaller = m.master.sign() * (m.master.abs() - size).clamp(min=0)
        m.master.copy_(torch.where(m.mask, m.master, smaller))

    def effective(self, m: Matrix, progress: float) -> torch.Tensor:
        weight = m.master * m.own["factor"]
        return weight * m.mask if self.frozen(progress) else weight

    def kept(self, m: Matrix, weight: torch.Tensor) -> torch.Tensor:
        return weight * m.own["factor"] * m.mask

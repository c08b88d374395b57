"""Learned masks over frozen weights: MaskLLM (2409.17481), with a distribution per unit as in MaskPro (2506.12876).

MaskLLM has one logit per possible mask of a group, 1,820 for 4 of 16. Here each unit has a logit, and a mask is N draws without
replacement from the softmax over its group: the N largest of logit / temperature + Gumbel noise. The gradient goes straight
through N * softmax. Weights do not train; after `freeze_at` masks are the most likely ones, and the weights in them train.
"""

import torch

from method import Matrix, Method
from patterns import mask_of, spread, units
from scores import magnitude


class LearnedMasks(Method):
    defaults = {"mask_lr": 0.05, "first_logit": 3.0, "hot": 2.0, "cold": 0.2, "freeze_at": 0.6, "seed": 5}
    """`first_logit`: the logits' deviation at the start, by magnitude. `hot` to `cold`: temperature of the draws over the run."""

    def __init__(self, matrices: dict[str, Matrix], settings: dict):
        for m in matrices.values():
            scores = magnitude(m.master) if m.importance is None else magnitude(m.master) * m.importance
            start = units(scores, m.pattern).clamp(min=1e-20).log()
            start = (start - start.mean(1, keepdim=True)) / (start.std() + 1e-6)
            m.own["logits"] = start * {**self.defaults, **settings}["first_logit"]
            m.own["logits"].grad = torch.zeros_like(m.own["logits"])
        self.adam = torch.optim.Adam([m.own["logits"] for m in matrices.values()], lr=0.0, betas=(0.9, 0.98))
        device = next(iter(matrices.values())).master.device
        self.generator = torch.Generator(device=device).manual_seed(settings.get("seed", self.defaults["seed"]))
        super().__init__(matrices, settings)

    def temperature(self, progress: float) -> float:
        s = self.settings
        return s["hot"] * (s["cold"] / s["hot"]) ** min(1.0, progress / s["freeze_at"])

    @torch.no_grad()
    def change_gradients(self, progress: float) -> None:
        if self.frozen(progress):
            return super().change_gradients(progress)
        for m in self.matrices.values():
            by_mask = units(m.master.grad * m.master, m.pattern)
            chances = m.own.get("chances", m.own["logits"].softmax(1))
            kept = m.pattern.group(m.master.shape[1])[1]
            mean = (chances * by_mask).sum(1, keepdim=True)
            m.own["logits"].grad.copy_(kept / self.temperature(progress) * chances * (by_mask - mean))
            m.master.grad.zero_()

    def choose_masks(self, progress: float) -> None:
        heat = self.temperature(progress)
        for m in self.matrices.values():
            noise = torch.rand(m.own["logits"].shape, generator=self.generator, device=m.master.device)
            noise = -(-noise.clamp(1e-7, 1 - 1e-7).log()).log()
            drawn = (m.own["logits"] + noise) / heat
            m.own["chances"] = drawn.softmax(1)
            m.mask = self.largest(m, drawn)

    @staticmethod
    def largest(m: Matrix, values: torch.Tensor) -> torch.Tensor:
        kept = m.pattern.group(m.master.shape[1])[1]
        chosen = torch.zeros_like(values, dtype=torch.bool).scatter(1, values.topk(kept, dim=1).indices, True)
        return spread(chosen, m.master.shape, m.pattern)

    @torch.no_grad()
    def change_weights(self, lr: float, progress: float) -> None:
        if not self.frozen(progress):
            self.adam.param_groups[0]["lr"] = self.settings["mask_lr"]
            self.adam.step()
        super().change_weights(lr, progress)

    def settle(self) -> None:
        if not self.settled:
            self.settled = True
            for m in self.matrices.values():
                m.mask = self.largest(m, m.own["logits"])


class LowRankImportance(Method):
    """PST (2205.11005): a unit's score is |w| + a * A B + b * (R + C), with A, B of low rank and R, C one number per output and
    input; they learn from the gradient by the mask (straight through). The weight's update is low-rank as well, w + U V, so that
    the run trains a small part of the numbers. After `freeze_at` masks are fixed, and U and V go on."""

    defaults = {"rank": 8, "a": 1.0, "b": 1.0, "own_lr": 1e-3, "freeze_at": 0.75}

    def __init__(self, matrices: dict[str, Matrix], settings: dict):
        rank = settings.get("rank", self.defaults["rank"])
        for m in matrices.values():
            outputs, inputs = m.master.shape
            draw = lambda *shape: torch.randn(*shape, device=m.master.device) * 0.02  # noqa: E731
            zero = lambda *shape: torch.zeros(*shape, device=m.master.device)  # noqa: E731
            m.own.update(A=zero(outputs, rank), B=draw(rank, inputs), R=zero(outputs, 1), C=zero(1, inputs), U=zero(outputs, rank), V=draw(rank, inputs))
            for value in m.own.values():
                value.grad = torch.zeros_like(value)
        self.adam = torch.optim.Adam([value for m in matrices.values() for value in m.own.values()], lr=0.0, betas=(0.9, 0.98))
        super().__init__(matrices, settings)

    def updated(self, m: Matrix, weight: torch.Tensor) -> torch.Tensor:
        return weight + m.own["U"] @ m.own["V"]

    def choose_masks(self, progress: float) -> None:
        s = self.settings
        for m in self.matrices.values():
            score = self.updated(m, m.master).abs() + s["a"] * m.own["A"] @ m.own["B"] + s["b"] * (m.own["R"] + m.own["C"])
            m.mask = mask_of(score, self.pattern_at(m.pattern, progress))

    @torch.no_grad()
    def change_gradients(self, progress: float) -> None:
        s = self.settings
        for m in self.matrices.values():
            by_mask, own = m.master.grad * self.updated(m, m.master), m.own
            through = m.master.grad * m.mask
            own["U"].grad.copy_(through @ own["V"].T)
            own["V"].grad.copy_(own["U"].T @ through)
            live = 0.0 if self.frozen(progress) else 1.0
            own["A"].grad.copy_(live * s["a"] * by_mask @ own["B"].T)
            own["B"].grad.copy_(live * s["a"] * own["A"].T @ by_mask)
            own["R"].grad.copy_(live * s["b"] * by_mask.sum(1, keepdim=True))
            own["C"].grad.copy_(live * s["b"] * by_mask.sum(0, keepdim=True))
            m.master.grad.zero_()

    @torch.no_grad()
    def change_weights(self, lr: float, progress: float) -> None:
        self.first_lr = max(lr, getattr(self, "first_lr", lr))
        self.adam.param_groups[0]["lr"] = self.settings["own_lr"] * lr / max(self.first_lr, 1e-12)
        self.adam.step()
        super().change_weights(lr, progress)

    def effective(self, m: Matrix, progress: float) -> torch.Tensor:
        return self.updated(m, m.master) * m.mask

    def kept(self, m: Matrix, weight: torch.Tensor) -> torch.Tensor:
        return self.updated(m, weight) * m.mask

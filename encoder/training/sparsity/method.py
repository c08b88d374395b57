"""The interface of a method that makes weights sparse while they train, and its simplest form: masks that do not change.

A training step is: gradients of the working weights -> `change_gradients` on the float32 masters -> optimiser -> `change_weights`,
which also writes the working weights that the next step multiplies. `progress` is 0 at the start of a run and 1 at its end.
"""

from dataclasses import dataclass, field

import torch

from patterns import Pattern, mask_of
from scores import magnitude


@dataclass
class Matrix:
    """One matrix that is to be sparse, all [O, I]."""

    pattern: Pattern
    working: torch.Tensor
    """What the model multiplies, in the compute precision."""
    master: torch.Tensor
    """The trained float32 weight; its `grad` is the gradient by the working weight."""
    mask: torch.Tensor
    """Bool, True where a weight is kept."""
    importance: torch.Tensor | None = None
    """[I] mean square of each input: masks are chosen by master^2 * importance. None: by master^2."""
    own: dict[str, torch.Tensor] = field(default_factory=dict)
    """What a method keeps beside the weight."""

    def choose(self, pattern: Pattern | None = None) -> torch.Tensor:
        score = magnitude(self.master)
        return mask_of(score if self.importance is None else score * self.importance, pattern or self.pattern)


class Method:
    """Fixed masks: what a mask drops stays 0 and gets no gradient. Other methods override what they change."""

    defaults: dict = {"frames": [], "every": 1, "freeze_at": 0.0}
    """`frames` [[until, density], ...]: until that progress a pattern keeps at least this density. `every`: steps from one choice of
    masks to the next. `freeze_at`: the progress from which masks do not change and dropped weights have no part."""

    def __init__(self, matrices: dict[str, Matrix], settings: dict):
        known = {key: value for base in reversed(type(self).__mro__) for key, value in getattr(base, "defaults", {}).items()}
        unknown = set(settings) - set(known)
        if unknown:
            raise ValueError(f"{type(self).__name__}: no such settings: {sorted(unknown)}")
        self.matrices = matrices
        self.settings = {**known, **settings}
        self.steps = 0
        self.settled = self.settings["freeze_at"] <= 0
        self.churn = 0.0
        """Share of the weights that entered or left a mask when masks were last chosen."""
        self.write()

    def frozen(self, progress: float) -> bool:
        return progress >= self.settings["freeze_at"]

    def pattern_at(self, pattern: Pattern, progress: float) -> Pattern:
        density = next((density for until, density in self.settings["frames"] if progress < until), 0.0)
        return pattern.at_least(density)

    def choose_masks(self, progress: float) -> None:
        changed = total = 0
        for m in self.matrices.values():
            mask = m.choose(self.pattern_at(m.pattern, progress))
            changed = changed + (mask != m.mask).sum()
            total += mask.numel()
            m.mask = mask
        self.churn = changed / max(total, 1)

    @torch.no_grad()
    def change_gradients(self, progress: float) -> None:
        for m in self.matrices.values():
            m.master.grad.mul_(m.mask)

    @torch.no_grad()
    def change_weights(self, lr: float, progress: float) -> None:
        """After the optimiser's step."""
        self.steps += 1
        if self.frozen(progress):
            self.settle()
        elif self.steps % self.settings["every"] == 0:
            self.choose_masks(progress)
        self.write(progress)

    def settle(self) -> None:
        """Chooses masks for the last time, by the whole pattern."""
        if not self.settled:
            self.settled = True
            self.choose_masks(1.0)

    def effective(self, m: Matrix, progress: float) -> torch.Tensor:
        """The weight that the model multiplies."""
        return m.master * m.mask

    @torch.no_grad()
    def write(self, progress: float = 0.0) -> None:
        for m in self.matrices.values():
            m.working.copy_(self.effective(m, progress))

    @torch.no_grad()
    def finished(self, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """A state dict of master weights, or of their running averages -> one whose zeros have the patterns exactly."""
        self.settle()
        return {name: self.kept(self.matrices[name], value) if name in self.matrices else value for name, value in state.items()}

    def kept(self, m: Matrix, weight: torch.Tensor) -> torch.Tensor:
        return weight * m.mask

"""AdamW on float32 master weights with a working copy in the compute precision, plus a running average.

bf16 parameters with float32 masters are faster than autocast here: there are no cast kernels in each layer, and the speed of
a batch of small matrices depends on the number of kernel launches.
"""

import math
from collections.abc import Callable

import torch
from torch import nn


class MasterAdamW:
    def __init__(self, model: nn.Module, groups: dict[str, float], weight_decay: float = 0.01, ema: float = 0.999):
        """groups: name prefix -> factor on the learning rate. The longest matching prefix wins; without a match the factor is 1."""
        self.names = [n for n, _ in model.named_parameters()]
        self.working = [p for _, p in model.named_parameters()]
        self.masters = [p.detach().float().clone() for p in self.working]
        self.average = [m.clone() for m in self.masters]
        self.ema = ema
        self.steps = 0
        for master in self.masters:
            master.grad = torch.zeros_like(master)
        buckets: dict[tuple[float, float], list[torch.Tensor]] = {}
        for name, master in zip(self.names, self.masters):
            prefix = max((g for g in groups if name.startswith(g)), key=len, default=None)
            factor = groups[prefix] if prefix is not None else 1.0
            decay = weight_decay if master.dim() == 2 else 0.0
            buckets.setdefault((factor, decay), []).append(master)
        self.factors = [factor for factor, _ in buckets]
        self.adam = torch.optim.AdamW(
            [{"params": params, "weight_decay": decay} for (_, decay), params in buckets.items()],
            lr=0.0,
            betas=(0.9, 0.98),
            eps=1e-7,
            fused=self.masters[0].is_cuda,
        )

    def step(self, lr: float, clip: float = 1.0, change_gradients: Callable[[], None] | None = None) -> None:
        """One update. `change_gradients` runs while the gradients of the float32 masters are complete and not yet clipped."""
        # A parameter that no loss depends on (positions beyond the batch's width) has a gradient of zero.
        have = [(m.grad, p.grad) for m, p in zip(self.masters, self.working) if p.grad is not None]
        torch._foreach_copy_([m for m, _ in have], [g for _, g in have])
        if change_gradients is not None:
            change_gradients()
        torch.nn.utils.clip_grad_norm_(self.masters, clip, foreach=True)
        for group, factor in zip(self.adam.param_groups, self.factors):
            group["lr"] = lr * factor
        self.adam.step()
        self.steps += 1
        decay = min(self.ema, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(self.average, self.masters, 1 - decay)
        with torch.no_grad():
            torch._foreach_copy_(self.working, self.masters)
        for parameter in self.working:
            parameter.grad = None

    def state(self) -> dict:
        return {"masters": self.masters, "average": self.average, "adam": self.adam.state_dict(), "steps": self.steps}

    def restore(self, state: dict) -> None:
        with torch.no_grad():
            torch._foreach_copy_(self.masters, state["masters"])
            torch._foreach_copy_(self.average, state["average"])
            torch._foreach_copy_(self.working, self.masters)
        self.adam.load_state_dict(state["adam"])
        self.steps = state["steps"]

    def weights(self, averaged: bool) -> dict[str, torch.Tensor]:
        return dict(zip(self.names, self.average if averaged else self.masters))


def cosine(progress: float, warmup: float = 0.02, floor: float = 0.02) -> float:
    """Learning-rate factor at progress 0..1 of the time budget."""
    if progress < warmup:
        return progress / warmup
    rest = min((progress - warmup) / (1 - warmup), 1.0)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * rest))

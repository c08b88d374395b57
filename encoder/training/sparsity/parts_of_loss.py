"""Parts of the objective that help a sparse student: SquareHead, noise with consistency.

L layers, M tokens of all pairs, H hidden.
"""

from contextlib import contextmanager

import torch
import torch.nn.functional as F

import recipe  # noqa: F401
from model import CrossEncoder


class LayerOutputs:
    """Collects what every layer of a model returned in its last forward pass: L x [M, H], without padding."""

    def __init__(self, model: CrossEncoder):
        self.states: list[torch.Tensor] = []
        keep = lambda _, args, out: self.states.append(out)  # noqa: E731
        self.hooks = [layer.register_forward_hook(keep) for layer in model.bert.encoder.layer]

    def take(self, mask: torch.Tensor) -> list[torch.Tensor]:
        """mask [N, T] of the pairs. Empties the collection, which would otherwise keep the graph alive."""
        states, self.states = self.states, []
        return [s[mask] if s.dim() == 3 else s for s in states]

    def close(self) -> None:
        """Leaves the model as it was: a model that serves several runs would collect for all of them, and nobody would empty that."""
        for hook in self.hooks:
            hook.remove()
        self.states = []


def square_head(student: list[torch.Tensor], teacher: list[torch.Tensor], eps: float = 1e-6) -> torch.Tensor:
    """Sum over layers of mean((s - t)^2) / mean(t^2) (2310.06927 section 3); L x [M, H] each."""
    parts = [(s.float() - t.float()).square().mean() / (t.float().square().mean() + eps) for s, t in zip(student, teacher, strict=True)]
    return torch.stack(parts).sum()


def signal_to_noise(states: list[torch.Tensor]) -> torch.Tensor:
    """L x [M, H] -> [L]: |mean| / deviation of a layer's outputs, mean over the channels."""
    return torch.stack([(s.float().mean(0).abs() / (s.float().std(0) + 1e-6)).mean() for s in states])


@contextmanager
def noisy_layers(model: CrossEncoder, layers: list[int], scale: float):
    """Adds Gaussian noise of `scale` deviations to the outputs of these layers (NoiseFiT, 2504.06307)."""

    def disturb(_, args, out):
        return out + torch.randn_like(out) * out.detach().float().std().to(out.dtype) * scale

    # Before the hooks that collect states: those would otherwise see the clean output.
    hooks = [model.bert.encoder.layer[i].register_forward_hook(disturb, prepend=True) for i in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def consistency(clean: torch.Tensor, noisy: torch.Tensor) -> torch.Tensor:
    """KL(softmax(clean) || softmax(noisy)), [Q, P] logits each; the clean side is the target and gets no gradient."""
    target = F.log_softmax(clean.detach(), dim=1)
    return (target.exp() * (target - F.log_softmax(noisy, dim=1))).sum(1).mean()

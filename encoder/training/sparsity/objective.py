"""The loss of a sparse reranker: that of the dense recipe, plus the distance from the dense parent."""

from collections.abc import Sequence

import torch

import recipe  # noqa: F401
import losses
from activations import chunk_loss
from model import CrossEncoder
from parts_of_loss import LayerOutputs, consistency, noisy_layers, signal_to_noise, square_head
from reranker import Reranking
from train import World

DEFAULTS = {
    "square_head": 1.0, "square_head_fades_to": 0.1, "parent_weight": 0.5,
    "chunk_loss": 0.0, "chunk": 8,
    "noise": 0.0, "noise_scale": 0.05, "noise_layers": 2, "noise_highest": False,
}  # fmt: skip
"""Weights of the parts. `square_head` fades linearly, since at the end only the order counts. `parent_weight`: KL to the parent's
logits. `chunk_loss`: for a model whose feed-forward layers are sparse (activations.py), by chunks of `chunk` tokens. `noise_layers`: how many layers get noise, those with the lowest signal-to-noise ratio or the highest."""


class SparseReranking(Reranking):
    def __init__(self, model: CrossEncoder, judge: CrossEncoder, parent: CrossEncoder, world: World, settings: dict, dropped: Sequence[int] = ()):
        """`settings`: those of `reranker` in the config and of DEFAULTS. `dropped`: layers of the parent that the model does not have."""
        super().__init__(model, judge, world, {**DEFAULTS, **settings})
        s = self.settings
        self.parent = parent
        self.own_layers, self.parent_layers = LayerOutputs(model), LayerOutputs(parent)
        self.dropped = dropped
        # Pooled tokens have no counterpart.
        self.comparable = not getattr(model, "pool_after", 0)

    def close(self) -> None:
        """Call it at the end: the parent serves other runs."""
        self.own_layers.close()
        self.parent_layers.close()

    def __call__(self, query_rows: torch.Tensor, doc_rows: torch.Tensor, width: int, progress: float):
        """query_rows [Q], doc_rows [Q, P] -> loss and the parts of it to log."""
        s = self.settings
        inputs, target, state = self.example(query_rows, doc_rows, width)
        use_states = bool(s["square_head"]) and self.comparable
        if use_states or s["parent_weight"]:
            with torch.no_grad():
                parent_logits = self.parent(*inputs).view(target.shape)
        parent_states = [x for i, x in enumerate(self.parent_layers.take(inputs[1])) if i not in self.dropped]
        own = self.model.pooled(*inputs)
        own_states = self.own_layers.take(inputs[1])
        logits = self.model.classified(own).view(target.shape)
        loss, parts = self.compare((query_rows, doc_rows), own, logits, target, state, progress)
        if use_states:
            parts["square_head"] = square_head(own_states, parent_states)
            loss = loss + s["square_head"] * (1 - (1 - s["square_head_fades_to"]) * progress) * parts["square_head"]
        if s["parent_weight"]:
            parts["parent"] = losses.kl_to_teacher(logits / s["temperature"], parent_logits / s["temperature"])
            loss = loss + s["parent_weight"] * parts["parent"]
        if s["chunk_loss"]:
            parts["chunk"] = chunk_loss(self.model, s["chunk"])
            loss = loss + s["chunk_loss"] * parts["chunk"]
        if s["noise"]:
            order = signal_to_noise([x.detach() for x in own_states]).argsort(descending=s["noise_highest"])
            with noisy_layers(self.model, order[: s["noise_layers"]].tolist(), s["noise_scale"]):
                noisy = self.model(*inputs).view(target.shape)
            self.own_layers.take(inputs[1])
            parts["noise"] = consistency(logits / s["temperature"], noisy / s["temperature"])
            loss = loss + s["noise"] * parts["noise"]
        return loss, parts

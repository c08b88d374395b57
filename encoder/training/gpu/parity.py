"""Ten recorded steps of training for the tests of the TypeScript trainer (test/encoder/training/parity.test.ts).

    python parity.py ../../../test/fixtures/training/parity.json

A tiny model whose numbers follow from a formula, in double precision: KL to targets over the passages of a batch, FLOPS, revival, and KL of the
cosine of a second output, with AdamW, clipping and a linear schedule. The fixture has the settings, each step's losses and gradient
length, and the length of every parameter's gradient at the first step.
"""

import json
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

import losses
from model import SparseEncoder, framed
from tokens import SPECIAL_IDS

CONFIG = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "vocab_size": 211,
    "max_position_embeddings": 40,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "winnow": {"activation": "log1p", "exponent": 0.8, "maxWeight": 3},
}
VECTOR = 8
SETTINGS = {
    "steps": 10, "rate": 0.003, "betas": [0.9, 0.98], "epsilon": 1e-7, "decay": 0.01, "clip": 1.0,
    "scale": 6.0, "vectorScale": 5.0, "flops": 0.02, "revival": 0.2, "vectorWeight": 0.5,
}  # fmt: skip
# Token ids without [CLS] and [SEP]; the passages of a query are numbers of the list, targets sum to 1 for each query.
PASSAGES = [[5, 17, 17, 40, 61, 9], [44, 45, 46], [5, 61, 200, 201, 202, 203, 150, 7], [120], [61, 9, 40, 44, 130, 131], [17, 201]]
QUERIES = [
    {"tokens": [5, 61], "passages": [0, 1, 2], "target": [0.7, 0.1, 0.2], "weights": [1.5, 2.5]},
    {"tokens": [44, 130, 199], "passages": [4, 1], "target": [1.0, 0.0], "weights": [2.0, 3.0, 1.0]},
    {"tokens": [201, 120], "passages": [5, 3, 2], "target": [0.5, 0.25, 0.25], "weights": [4.0, 0.5]},
]


class Numbers:
    """A linear congruential generator, the same in TypeScript."""

    def __init__(self, seed: int):
        self.state = seed

    def next(self) -> float:
        self.state = (self.state * 1664525 + 1013904223) % 2**32
        return self.state / 2**32 - 0.5


def shapes(config: dict) -> list[tuple[str, list[int], float, float]]:
    """Name, shape, width and centre of each tensor, in the order in which the generator fills them."""
    h, inner = config["hidden_size"], config["intermediate_size"]
    out: list[tuple[str, list[int], float, float]] = []

    def dense(name: str, outputs: int, inputs: int) -> None:
        out.extend([(f"{name}.weight", [outputs, inputs], 0.5, 0.0), (f"{name}.bias", [outputs], 0.2, 0.0)])

    def norm(name: str) -> None:
        out.extend([(f"{name}.weight", [h], 0.4, 1.0), (f"{name}.bias", [h], 0.2, 0.0)])

    for table, rows in (("word", config["vocab_size"]), ("position", config["max_position_embeddings"]), ("token_type", 2)):
        out.append((f"bert.embeddings.{table}_embeddings.weight", [rows, h], 0.5, 0.0))
    norm("bert.embeddings.LayerNorm")
    for i in range(config["num_hidden_layers"]):
        layer = f"bert.encoder.layer.{i}"
        for part in ("query", "key", "value"):
            dense(f"{layer}.attention.self.{part}", h, h)
        dense(f"{layer}.attention.output.dense", h, h)
        norm(f"{layer}.attention.output.LayerNorm")
        dense(f"{layer}.intermediate.dense", inner, h)
        dense(f"{layer}.output.dense", h, inner)
        norm(f"{layer}.output.LayerNorm")
    dense("cls.predictions.transform.dense", h, h)
    norm("cls.predictions.transform.LayerNorm")
    out.append(("cls.predictions.bias", [config["vocab_size"]], 0.4, -0.4))
    dense("dense", VECTOR, h)
    return out


class Encoder(SparseEncoder):
    def __init__(self, config: dict):
        super().__init__(config)
        self.dense = nn.Linear(config["hidden_size"], VECTOR)

    def pooled(self, body: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        kept = mask[:, :, None].to(body.dtype)
        return self.dense((body * kept).sum(1) / kept.sum(1))


def padded(rows: list[list[int]]) -> torch.Tensor:
    width = max(map(len, rows))
    return torch.tensor([row + [0] * (width - len(row)) for row in rows])


def listwise(scores: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return (torch.xlogy(target, target) - target * F.log_softmax(scores, dim=1)).sum(1).mean()


def objective(model: Encoder) -> dict[str, torch.Tensor]:
    s = SETTINGS
    ids, mask = framed(padded(PASSAGES))
    query_ids = padded([q["tokens"] for q in QUERIES])
    importance = torch.zeros(query_ids.shape, dtype=torch.float64)
    weights = torch.zeros(len(QUERIES), CONFIG["vocab_size"], dtype=torch.float64)
    target = torch.zeros(len(QUERIES), len(PASSAGES), dtype=torch.float64)
    for i, q in enumerate(QUERIES):
        importance[i, : len(q["weights"])] = torch.tensor(q["weights"])
        weights[i, q["tokens"]] = torch.tensor(q["weights"], dtype=torch.float64)
        target[i, q["passages"]] = torch.tensor(q["target"], dtype=torch.float64)
    body = model.bert(ids, mask)
    states = model.transformed(body, mask)
    # All terms, since the recipe's `top_logits` goes through float32.
    terms = torch.tensor([[t for t in range(CONFIG["vocab_size"]) if t not in SPECIAL_IDS]]).expand(len(ids), -1)
    logits = model.logits_of(states, terms)
    activations = torch.zeros(len(ids), CONFIG["vocab_size"]).scatter(1, terms, model.activation(logits))
    student = losses.length_free(weights @ model.scored(activations).T, weights.sum(1))
    rank = listwise(s["scale"] * student, target)
    own = model.logits_of(states[[q["passages"][0] for q in QUERIES]], query_ids)
    revival = losses.revive(own, importance, torch.ones(len(QUERIES), dtype=torch.float64))
    size = losses.flops(activations)
    asked, asked_mask = framed(query_ids)
    query_vectors = model.pooled(model.bert(asked, asked_mask, asked_mask.long()), asked_mask)
    cosine = F.normalize(query_vectors, dim=1) @ F.normalize(model.pooled(body, mask), dim=1).T
    vector = listwise(s["vectorScale"] * cosine, target)
    loss = rank + s["flops"] * size + s["revival"] * revival + s["vectorWeight"] * vector
    return {"loss": loss, "rank": rank, "flops": size, "revival": revival, "vector": vector}


def main() -> None:
    torch.set_default_dtype(torch.float64)
    model = Encoder(CONFIG)
    numbers = Numbers(7)
    state = {}
    for name, shape, width, centre in shapes(CONFIG):
        count = torch.Size(shape).numel()
        # The trainer's numbers are f32.
        values = torch.tensor([centre + width * numbers.next() for _ in range(count)]).float().double()
        state[name] = values.view(shape)
    model.load_state_dict(state)
    s = SETTINGS
    groups = [
        {"params": [p for p in model.parameters() if p.dim() == 2], "weight_decay": s["decay"]},
        {"params": [p for p in model.parameters() if p.dim() == 1], "weight_decay": 0.0},
    ]
    adam = torch.optim.AdamW(groups, lr=0.0, betas=tuple(s["betas"]), eps=s["epsilon"])
    steps, first = [], {}
    for step in range(s["steps"]):
        adam.zero_grad()
        parts = objective(model)
        parts["loss"].backward()
        if step == 0:
            first = {name: p.grad.norm().item() for name, p in model.named_parameters()}
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), s["clip"])
        for group in adam.param_groups:
            group["lr"] = s["rate"] * (s["steps"] - step) / s["steps"]
        adam.step()
        steps.append({**{name: value.item() for name, value in parts.items()}, "norm": norm.item()})
    fixture = {
        "torch": torch.__version__, "config": CONFIG, "vectorSize": VECTOR, "settings": s, "seed": 7,
        "tensors": shapes(CONFIG), "passages": PASSAGES, "queries": QUERIES, "steps": steps, "gradients": first,
    }  # fmt: skip
    Path(sys.argv[1]).write_text(json.dumps(fixture, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""A document encoder with a sparse body, taught by the dense encoder on texts alone: no pair, no judgement, no other teacher.

B passages, T tokens, Q spans, H hidden. Matched are the term activations (losses.vector_error), the states of every layer (SquareHead), and
the direction of the vector, of passages and of short texts: spans of passages that stand for queries, and real queries if there are any.
"""

from dataclasses import dataclass
from types import SimpleNamespace

import torch

import recipe  # noqa: F401
import checkpoint
from allocation import Allocation
from anchor import Anchor, direction_error
from calibration import input_statistics
from fitness import PrunedParent
from model import TwoOutputEncoder, framed
from optimizer import MasterAdamW
from parts_of_loss import LayerOutputs, square_head
from runtime import Log
from spans import draw_spans
from tokens import TokenTable
from train_sparse import Masking, optimized

State = dict[str, torch.Tensor]
HELD_OUT = 100
"""One passage in so many is never trained on."""


def encoder(state: State, shape: dict, device, dtype) -> TwoOutputEncoder:
    model = TwoOutputEncoder({**shape, "token_table": 0})
    model.load_state_dict(state)
    return model.to(device, dtype)


@dataclass
class Batch:
    ids: torch.Tensor
    mask: torch.Tensor
    queries: torch.Tensor
    """[Q, L] zero-padded spans."""


class BodyTask(Masking):
    """What all rows share: the dense encoder, passages by length, spans."""

    def __init__(
        self, config: dict, dense: State, docs: TokenTable, idf: torch.Tensor, continues: torch.Tensor, device, dtype, log: Log,
        queries: TokenTable | None = None,
    ):  # fmt: skip
        """`config`: model, seed, and `sparsity` with settings and search, as in config/bodies.json. `queries` are drawn like spans."""
        self.config, self.docs, self.log = config, docs, log
        self.world = SimpleNamespace(device=device, dtype=dtype)
        self.settings = config["sparsity"]["settings"]
        self.dense_state = {name: value.to(device) for name, value in dense.items()}
        self.dense = self.encoder(self.dense_state).eval().requires_grad_(False)
        self.anchor = Anchor(self.dense, idf, self.settings["keep_terms"])
        generator = torch.Generator(device=device).manual_seed(config["seed"])
        spans = draw_spans(docs, torch.ones(docs.rows, device=device), continues, self.settings["spans"], generator)[0]
        self.spans = spans if queries is None else TokenTable.concat([spans, queries])
        rows = torch.arange(docs.rows, device=device)
        bucket = torch.bucketize(docs.lengths() + 2, torch.tensor([b["width"] for b in self.buckets[:-1]], device=device))
        held = rows % HELD_OUT == 0
        self.rows = [rows[(bucket == i) & ~held] for i in range(len(self.buckets))]
        self.held_rows = [rows[(bucket == i) & held] for i in range(len(self.buckets))]
        self.shares = torch.tensor([b["share"] for b in self.buckets])
        inputs = ((b.ids, b.mask) for b in self.batches(self.settings["calibration_batches"], config["seed"] + 11))
        self.statistics = input_statistics(self.dense, inputs)

    @property
    def buckets(self) -> list[dict]:
        return self.settings["buckets"]

    @property
    def parent_state(self) -> State:
        return self.dense_state

    def encoder(self, state: State) -> TwoOutputEncoder:
        return encoder(state, self.config["model"], self.world.device, self.world.dtype)

    def draw(self, bucket: int, generator: torch.Generator, held_out: bool = False) -> Batch:
        """Passages of one bucket of lengths, uniformly; spans of any passages."""
        s, rows = self.buckets[bucket], (self.held_rows if held_out else self.rows)[bucket]
        any_of = lambda n, count: torch.randint(n, (count,), generator=generator, device=rows.device)  # noqa: E731
        ids, mask = self.docs.padded(rows[any_of(len(rows), s["passages"])], s["width"])
        return Batch(ids, mask, self.spans.bare(any_of(self.spans.rows, self.settings["spans_a_batch"]), self.settings["span_width"]))

    def batches(self, count: int, seed: int, held_out: bool = False) -> list[Batch]:
        """`count` batches, the widths in turn."""
        generator = torch.Generator(device=self.docs.tokens.device).manual_seed(seed)
        return [self.draw(i % len(self.buckets), generator, held_out) for i in range(count)]


class Likeness:
    """How far an encoder is from the dense one, in the parts that the loss adds up."""

    def __init__(self, model: TwoOutputEncoder, task: BodyTask):
        self.model, self.task = model, task
        self.own_layers, self.dense_layers = LayerOutputs(model), LayerOutputs(task.dense)

    def close(self) -> None:
        """Call it at the end: the dense model serves other rows."""
        self.own_layers.close()
        self.dense_layers.close()

    def __call__(self, batch: Batch) -> dict[str, torch.Tensor]:
        anchor, model = self.task.anchor, self.model
        with torch.no_grad():
            known = anchor.outputs(batch.ids, batch.mask)
            known_states = self.dense_layers.take(batch.mask)
        body = model.bert(batch.ids, batch.mask)
        states = self.own_layers.take(batch.mask)
        terms = anchor.terms(model, model.transformed(body, batch.mask), known)[2]
        inside = framed(batch.queries)[1]
        asked = anchor.outputs_of_queries(batch.queries)
        asked_states = self.dense_layers.take(inside)
        vectors = model.query_vectors(batch.queries)
        return {
            "terms": terms,
            "states": square_head(states, known_states),
            "query_states": square_head(self.own_layers.take(inside), asked_states),
            "vector": direction_error(model.pooled(body, batch.mask), known.vectors),
            "query_vector": direction_error(vectors, asked),
        }


def total(parts: dict[str, torch.Tensor], weights: dict[str, float], progress: float, fades_to: float) -> torch.Tensor:
    """The weighted sum. States count less and less, since at the end only the outputs matter."""
    fade = 1 - (1 - fades_to) * progress
    return sum(weights[name] * (fade if "states" in name else 1.0) * value for name, value in parts.items() if weights[name])


def distilled(task: BodyTask, row: dict, start: State) -> State:
    """row: patterns, masks, method, `with` (its settings), `set` (of the objective and optimiser), seconds, seed."""
    settings = {**task.settings, **row.get("set", {})}
    seed = task.config["seed"] + 100 * row.get("seed", 0)
    torch.manual_seed(seed)
    generator = torch.Generator(device=task.docs.tokens.device).manual_seed(seed + 5)
    model = task.encoder(start)
    optimizer = MasterAdamW(model, {}, settings["weight_decay"], settings["ema"])
    likeness = Likeness(model, task)

    def loss_at(progress: float):
        parts = likeness(task.draw(int(torch.multinomial(task.shares, 1)), generator))
        return total(parts, settings["weights"], progress, settings["states_fade_to"]), parts

    try:
        return optimized(task, row, settings, optimizer, start, loss_at)
    finally:
        likeness.close()


@torch.no_grad()
def held_out(task: BodyTask, state: State, batches: int) -> dict[str, float]:
    """The parts of the loss of a model with int8 rows on passages that no row is trained on."""
    model = task.encoder(checkpoint.fake_quantized(state)).eval()
    likeness = Likeness(model, task)
    try:
        found = [likeness(batch) for batch in task.batches(batches, task.config["seed"] + 17, held_out=True)]
    finally:
        likeness.close()
    return {name: round((sum(parts[name] for parts in found) / len(found)).item(), 5) for name in found[0]}


@torch.no_grad()
def held_out_terms(task: BodyTask, state: State, batches: int) -> float:
    """Terms per passage of a model with int8 rows, over passages that no row is trained on."""
    model = task.encoder(checkpoint.fake_quantized(state)).eval()
    on = [(model.pooled_logits(model.head_states(b.ids, b.mask)) > 0).sum(1).float() for b in task.batches(batches, task.config["seed"] + 17, held_out=True)]
    return torch.cat(on).mean().item()


class TermDistance:
    """The fitness of a search: the distance of the term activations of fixed passages, and of their vectors."""

    def __init__(self, pruned: PrunedParent, task: BodyTask, batches: list[Batch]):
        self.pruned, self.task, self.batches = pruned, task, batches
        self.known = [task.anchor.outputs(b.ids, b.mask) for b in batches]

    @torch.no_grad()
    def __call__(self, allocation: Allocation, batches: int) -> float:
        self.pruned.use(allocation)
        model, sum_ = self.pruned.model, 0.0
        for batch, known in list(zip(self.batches, self.known))[:batches]:
            body = model.bert(batch.ids, batch.mask)
            error = self.task.anchor.terms(model, model.transformed(body, batch.mask), known)[2]
            sum_ = sum_ + error + direction_error(model.pooled(body, batch.mask), known.vectors)
        return (sum_ / min(batches, len(self.batches))).item()

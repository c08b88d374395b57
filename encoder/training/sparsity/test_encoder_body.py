"""Checks of sparse bodies of an encoder on a CPU.

    python -m unittest test_encoder_body      # from this folder
"""

import tempfile
import unittest
from pathlib import Path

import torch

import recipe  # noqa: F401
from allocation import GENES, Allocation
from compare_bodies import Comparison
from encoder_body import HELD_OUT, BodyTask, Likeness, TermDistance, distilled, held_out, held_out_terms, total
from fitness import PrunedParent
from mix import BIAS
from model import TwoOutputEncoder
from patterns import assign, holds
from runtime import Log
from tokens import from_lists
from train_sparse import pruned

VOCAB = 200
MODEL = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64, "vocab_size": VOCAB,
    "max_position_embeddings": 40, "type_vocab_size": 2, "layer_norm_eps": 1e-12,
}  # fmt: skip
WEIGHTS = {"terms": 3.0, "states": 1.0, "query_states": 0.5, "vector": 3.0, "query_vector": 3.0}
SETTINGS = {
    "lr": 3e-3, "ema": 0.9, "weight_decay": 0.0, "keep_terms": 120, "spans": 200, "spans_a_batch": 8, "span_width": 8, "calibration_batches": 4,
    "held_out_batches": 4, "log_seconds": 100, "save_seconds": 100, "reserve": 0, "states_fade_to": 0.2, "weights": WEIGHTS,
    "buckets": [{"width": 16, "passages": 8, "share": 0.5}, {"width": 32, "passages": 6, "share": 0.5}],
}  # fmt: skip


class SparseBodies(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(0)
        generator = torch.Generator().manual_seed(1)
        docs = from_lists([torch.randint(104, VOCAB, (4 + i % 26,), generator=generator).tolist() for i in range(400)])
        dense = TwoOutputEncoder({**MODEL, "token_table": 0})
        with torch.no_grad():
            for parameter in dense.parameters():
                if parameter.dim() == 2:
                    parameter.normal_(0, 0.3)
            dense.cls.predictions.bias.normal_(0, 2)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.log = Log(self.folder / "log.jsonl")
        self.addCleanup(self.log.file.close)
        config = {"model": MODEL, "seed": 3, "sparsity": {"settings": SETTINGS}, "data": {"eval_sets": [], "dev_sets": []}}
        idf = torch.rand(VOCAB) + 0.5
        self.task = BodyTask(config, dense.state_dict(), docs, idf, torch.zeros(VOCAB, dtype=torch.bool), torch.device("cpu"), torch.float32, self.log)

    def row(self, **changed):
        return {"name": "row", "seconds": 4, "method": "mask-decay", "masks": "wanda", "patterns": {"default": "4:16"}, **changed}

    def test_the_dense_encoder_is_at_distance_0_of_itself_and_hooks_are_removed(self):
        parts = held_out(self.task, self.task.dense_state, 2)
        # Rows are rounded to int8.
        self.assertTrue(all(0 <= value < 0.01 for value in parts.values()), parts)
        model = self.task.encoder(self.task.dense_state)
        likeness = Likeness(model, self.task)
        exact = likeness(self.task.batches(1, 0)[0])
        self.assertTrue(all(abs(value.item()) < 1e-5 for value in exact.values()), exact)
        likeness.close()
        self.assertFalse(any(layer._forward_hooks for m in (model, self.task.dense) for layer in m.bert.encoder.layer))

    def test_every_part_of_the_loss_counts_with_its_weight(self):
        model = self.task.encoder(pruned(self.task, self.row()))
        likeness = Likeness(model, self.task)
        self.addCleanup(likeness.close)
        parts = likeness(self.task.batches(1, 0)[0])
        self.assertTrue(all(value.item() > 1e-4 for value in parts.values()), parts)
        one = lambda name: {other: float(other == name) for other in WEIGHTS}  # noqa: E731
        for name, value in parts.items():
            fade = 0.6 if "states" in name else 1.0
            self.assertAlmostEqual(total(parts, one(name), 0.5, 0.2).item(), fade * value.item(), places=5)
        total(parts, WEIGHTS, 0.0, 0.2).backward()
        self.assertTrue(all(p.grad is not None and p.grad.abs().sum() > 0 for n, p in model.named_parameters() if "layer" in n and p.dim() == 2))
        self.assertTrue(all(p.grad is None for p in self.task.dense.parameters()))

    def test_training_brings_a_sparse_body_nearer_and_keeps_the_pattern(self):
        first = held_out(self.task, pruned(self.task, self.row()), 4)
        state = distilled(self.task, self.row(), self.task.dense_state)
        last = held_out(self.task, state, 4)
        for part in ("terms", "states", "query_vector"):
            self.assertLess(last[part], first[part] * 0.8, part)
        found = assign(list(state), {"default": "4:16"})
        self.assertEqual(len(found), 12)
        self.assertTrue(all(holds(state[name], pattern) for name, pattern in found.items()))
        dense = held_out(self.task, self.task.dense_state, 2)
        self.assertLess(dense["terms"], 0.01)

    def test_masks_that_are_kept_do_not_move(self):
        start = pruned(self.task, self.row())
        state = distilled(self.task, self.row(seconds=1, method="fixed", masks="kept"), start)
        for name in assign(list(state), {"default": "4:16"}):
            self.assertTrue(((state[name] != 0) <= (start[name] != 0)).all())
            self.assertFalse(torch.equal(state[name], start[name]))

    def test_the_terms_of_a_sparse_body_are_brought_within_those_of_the_dense_encoder(self):
        comparison = Comparison(self.task, lambda state: {}, self.folder, float("inf"))
        more = {**self.task.dense_state, BIAS: self.task.dense_state[BIAS] + 0.3}
        terms_of = lambda state: held_out_terms(self.task, state, SETTINGS["held_out_batches"])  # noqa: E731
        self.assertGreater(terms_of(more), terms_of(self.task.dense_state))
        state, lower = comparison.within_dense_terms(more)
        self.assertLessEqual(terms_of(state), terms_of(self.task.dense_state))
        self.assertGreater(terms_of({**state, BIAS: state[BIAS] + 0.005}), terms_of(self.task.dense_state))
        self.assertTrue(0 < lower <= 0.31)

    def test_real_queries_stand_beside_spans(self):
        queries = from_lists([[150, 151], [152, 153, 154]])
        with_queries = BodyTask(
            self.task.config, self.task.dense_state, self.task.docs, self.task.anchor.idf, torch.zeros(VOCAB, dtype=torch.bool),
            torch.device("cpu"), torch.float32, self.log, queries,
        )  # fmt: skip
        self.assertEqual(with_queries.spans.rows, self.task.spans.rows + 2)
        last = with_queries.spans.bare(torch.tensor([with_queries.spans.rows - 1]), 4)
        self.assertEqual(last.tolist(), [[152, 153, 154, 0]])

    def test_held_out_passages_are_not_trained_on(self):
        trained, held = (torch.cat(rows).tolist() for rows in (self.task.rows, self.task.held_rows))
        self.assertEqual(sorted(trained + held), list(range(400)))
        self.assertEqual(sorted(held), list(range(0, 400, HELD_OUT)))

    def test_the_distance_of_a_search_is_0_for_dense_and_grows_with_the_zeros(self):
        levels = ["dense", "8:16", "4:16"]
        pool = PrunedParent(self.task.encoder(self.task.dense_state), levels, self.task.statistics, "wanda")
        distance = TermDistance(pool, self.task, self.task.batches(2, 5))
        by_level = [distance(Allocation(((level,) * len(GENES),) * 2, (False, False)), 2) for level in levels]
        self.assertLess(by_level[0], 1e-5)
        self.assertLess(by_level[0], by_level[1])
        self.assertLess(by_level[1], by_level[2])

    def test_a_row_takes_the_settings_of_the_nearest_of_others_and_starts_from_a_kept_one(self):
        comparison = Comparison(self.task, lambda state: {}, self.folder, float("inf"))
        for name, lr in (("slow", 1e-6), ("fast", 3e-3)):
            comparison(self.row(name=name, seconds=2, probe=True, keep=True, set={"lr": lr}))
        row = comparison.resolved(self.row(like_nearest_of=["slow", "fast", "absent"]))
        self.assertEqual((row["set"]["lr"], row["took"]), (3e-3, "fast"))
        start = comparison.start({"start": ["absent", "fast"]})
        self.assertTrue(all(holds(start[name], pattern) for name, pattern in assign(list(start), {"default": "4:16"}).items()))
        again = Comparison(self.task, lambda state: {}, self.folder, float("inf"))
        self.assertEqual(set(again.results), {"slow", "fast"})
        late = Comparison(self.task, lambda state: {}, self.folder, 0.0)
        with self.assertRaises(TimeoutError):
            late.resolved(self.row())


if __name__ == "__main__":
    unittest.main()

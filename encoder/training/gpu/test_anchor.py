"""Checks of the anchor on a CPU, and of candidates that a student finds for the relevance teacher.

    python -m unittest test_anchor      # from this folder
"""

import json
import unittest
from pathlib import Path

import torch

from anchor import Anchor, direction_error
from model import TwoOutputEncoder
from optimizer import MasterAdamW
from prepare import rows_of
from query_weights import QueryWeights
from teachers import DenseScores, VectorTeacher, embed
from test_losses import TINY
from tokens import from_lists
from train import Distiller, encoder_of

KEEP = 120
IDF = torch.rand(TINY["vocab_size"], generator=torch.Generator().manual_seed(5)) + 0.5


def two_outputs(seed: int = 0) -> TwoOutputEncoder:
    torch.manual_seed(seed)
    model = TwoOutputEncoder({**TINY, "token_table": 0})
    # Some half of the terms are on, as relu needs both sides.
    with torch.no_grad():
        model.bert.embeddings.word_embeddings.weight.mul_(0.2)
        model.cls.predictions.bias.normal_(-1, 1)
    return model


def texts(count: int = 6, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    return from_lists([torch.randint(104, 200, (5 + i,), generator=generator).tolist() for i in range(count)])


class AnchorOfAModel(unittest.TestCase):
    def setUp(self):
        self.anchor = Anchor(two_outputs(), IDF, KEEP)
        self.ids, self.mask = texts().padded(torch.arange(6), 14)
        self.known = self.anchor.outputs(self.ids, self.mask)

    def drift(self, model, shares=None):
        return self.anchor.terms(model, model.head_states(self.ids, self.mask), self.known, shares)

    def test_a_model_is_at_distance_0_of_itself(self):
        model = two_outputs()
        terms, logits, error = self.drift(model)
        self.assertLess(error.item(), 1e-9)
        self.assertTrue(((self.known.weights > 0).sum(1) < KEEP).all())
        body = model.bert(self.ids, self.mask)
        self.assertAlmostEqual(direction_error(model.pooled(body, self.mask), self.known.vectors).item(), 0, places=5)

    def test_is_the_relative_squared_distance_over_the_whole_vocabulary(self):
        model = two_outputs(1)
        weights = lambda m: m.activation(m.pooled_logits(m.head_states(self.ids, self.mask)))  # noqa: E731
        own, wanted = weights(model), weights(self.anchor.reference)
        logits = model.pooled_logits(model.head_states(self.ids, self.mask))
        curve = torch.where((own == 0) & (wanted > 0), torch.nn.functional.softsign(logits.clamp(max=0)), own)
        slow = (IDF * (curve - wanted).square()).sum(1) / (IDF * wanted.square()).sum(1)
        # All terms but the special ones, so that what both have on together fits.
        anchor = Anchor(two_outputs(), IDF, TINY["vocab_size"] - 5)
        found = anchor.terms(model, model.head_states(self.ids, self.mask), anchor.outputs(self.ids, self.mask))[2]
        torch.testing.assert_close(found, slow.mean())

    def test_a_text_without_a_share_has_no_part(self):
        model = two_outputs(1)
        alone = torch.tensor([0.0, 0.0, 6.0, 0.0, 0.0, 0.0])
        ids, mask = self.ids[2:3], self.mask[2:3]
        one = self.anchor.terms(model, model.head_states(ids, mask), self.anchor.outputs(ids, mask))[2]
        torch.testing.assert_close(self.drift(model, alone)[2], one)

    def test_steps_bring_a_model_back(self):
        model = two_outputs()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.02)
        optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
        first = self.drift(model)[2].item()
        for _ in range(60):
            optimizer.zero_grad()
            self.drift(model)[2].backward()
            optimizer.step()
        self.assertLess(self.drift(model)[2].item(), first / 4)
        self.assertTrue(all(p.grad is None for p in self.anchor.reference.parameters()))


class AnchoredRun(unittest.TestCase):
    def setUp(self):
        config = json.loads((Path(__file__).parent / "config" / "winnow-mini.json").read_text())
        changes = json.loads((Path(__file__).parent / "config" / "anchored.json").read_text())["config"]["train"]
        self.settings = {**config["train"], **changes, "keep_terms": KEEP, "query_width": 12, "teacher_weights": {"student": 1.0}}
        self.docs = texts(8)
        self.model = two_outputs()
        rows = torch.arange(8)
        vectors = torch.nn.functional.normalize(torch.randn(8, 4), dim=1)
        self.prepared = {
            "queries": texts(8, 3), "source_names": ["bio", "text-web"], "doc_source": rows % 2, "sparse": {}, "dense": {"student": (vectors, vectors)},
        }  # fmt: skip

    def loss(self, model, **changed):
        settings = {**self.settings, **changed}
        weights = QueryWeights(IDF, torch.zeros(len(IDF), dtype=torch.bool))
        anchor = Anchor(two_outputs(), IDF, KEEP)
        distiller = Distiller(model, self.docs, self.prepared, weights, settings, anchor=anchor)
        return distiller(torch.arange(4), torch.arange(8).view(4, 2), 0, 14, 0.5)

    def test_a_run_starts_without_drift_and_the_anchor_adds_what_its_weight_says(self):
        parts = self.loss(self.model)[1]
        self.assertLess(parts["drift"].item(), 1e-9)
        self.assertLess(parts["turned"].item(), 1e-5)
        other = two_outputs(2)
        light, heavy = (self.loss(other, anchor_weight=w, anchor_vector_weight=0.0) for w in (1.0, 3.0))
        self.assertAlmostEqual((heavy[0] - light[0]).item(), 2 * light[1]["drift"].item(), places=3)

    def test_loose_sources_count_less(self):
        other = two_outputs(2)
        full = self.loss(other)[1]["drift"].item()
        bio = self.loss(other, anchor_loose=["text"], anchor_loose_share=0.0)[1]["drift"].item()
        web = self.loss(other, anchor_loose=["bio"], anchor_loose_share=0.0)[1]["drift"].item()
        self.assertGreater(min(bio, web), 0)
        self.assertAlmostEqual(bio + web, full, places=4)

    def test_the_vectors_order_is_taught_beside_the_anchor_without_token_vectors(self):
        drawn = lambda **changed: self.loss(self.model, vector_sizes=[TINY["hidden_size"]], **changed)  # noqa: E731
        plain, taught = drawn(), drawn(cosine_weight=0.5)
        self.assertNotIn("tokens", taught[1])
        self.assertGreater(taught[1]["cosine"].item(), 0)
        self.assertAlmostEqual((taught[0] - plain[0]).item(), 0.5 * taught[1]["cosine"].item(), places=3)
        taught[0].backward()
        self.assertGreater(self.model.dense.weight.grad.abs().sum().item(), 0)

    def test_steps_order_the_vectors_like_the_teacher(self):
        optimizer = MasterAdamW(self.model, {})
        kinds = []
        for _ in range(40):
            loss, parts = self.loss(self.model, vector_sizes=[TINY["hidden_size"]], cosine_weight=1.0, anchor_vector_weight=0.0)
            loss.backward()
            optimizer.step(2e-3)
            kinds.append(parts["cosine"].item())
        self.assertLess(kinds[-1], 0.7 * kinds[0])

    def test_the_model_that_is_held_has_both_outputs(self):
        config = {"model": {**TINY, "token_table": 0}}
        self.assertIsInstance(encoder_of(config, {"cosine_weight": 0.0, "anchor_weight": 1.0}), TwoOutputEncoder)
        self.assertNotIsInstance(encoder_of(config, {"cosine_weight": 0.0, "anchor_weight": 0.0}), TwoOutputEncoder)


class StudentAsTeacher(unittest.TestCase):
    def test_its_queries_have_token_type_1(self):
        model, table = two_outputs(), texts()
        rows = torch.arange(table.rows)
        asked = embed(VectorTeacher(model, True), table, (), 32)
        told = embed(VectorTeacher(model, False), table, (), 32)
        torch.testing.assert_close(asked, torch.nn.functional.normalize(model.query_vectors(table.bare(rows, 12)), dim=1), atol=1e-5, rtol=1e-4)
        ids, mask = table.padded(rows, 14)
        torch.testing.assert_close(told, torch.nn.functional.normalize(model.pooled(model.bert(ids, mask), mask), dim=1), atol=1e-5, rtol=1e-4)
        self.assertGreater((DenseScores(asked, told)(rows, rows) - DenseScores(told, told)(rows, rows)).abs().max().item(), 1e-4)

    def test_rows_of_sources(self):
        source = torch.tensor([2, 0, 1, 2])
        self.assertEqual(rows_of(["c", "absent", "a"], source, ["a", "b", "c"]).tolist(), [0, 1, 3])


if __name__ == "__main__":
    unittest.main()

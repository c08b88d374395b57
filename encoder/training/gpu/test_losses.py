"""Checks of the objective on a CPU, in float64 where it matters.

    python -m unittest test_losses      # from this folder
"""

import math
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch

import checkpoint
import losses
from batches import Batches
from cross_encoder import target
from evaluate import ndcg_at_10
from mix import BIAS, cut, mean
from model import CrossEncoder, SparseEncoder, TwoOutputEncoder, framed
from query_weights import QueryWeights, text_frequency
from reranker import evenly_spaced, shares_by_source, with_neighbours
from spans import draw_spans
from teachers import SparseScores, bm25_weights, mine_sparse, relevance_of_candidates, sparse_vectors
from token_table import fit_table
from tokens import CLS, PAD, SEP, TokenTable, from_lists, pairs, query_matrix

TINY = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "vocab_size": 200,
    "max_position_embeddings": 32,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
}


def tiny_model(seed: int = 0, activation: str = "log1p") -> SparseEncoder:
    torch.manual_seed(seed)
    return SparseEncoder({**TINY, "winnow": {"activation": activation}}).double()


class Flops(unittest.TestCase):
    def test_is_the_sum_of_squared_means(self):
        weights = torch.tensor([[1.0, 0.0, 2.0], [3.0, 0.0, 0.0]])
        self.assertAlmostEqual(losses.flops(weights).item(), 2.0**2 + 0 + 1.0**2)

    def test_gradient_matches_central_differences(self):
        weights = torch.rand(3, 5, dtype=torch.float64, requires_grad=True)
        self.assertTrue(torch.autograd.gradcheck(losses.flops, (weights,)))

    def test_l0_mask_spares_short_documents_but_counts_them(self):
        weights = torch.tensor([[1.0, 1.0, 1.0], [2.0, 0.0, 0.0]], requires_grad=True)
        loss = losses.flops(weights, l0_threshold=2)
        loss.backward()
        self.assertAlmostEqual(loss.item(), 3 * 0.5**2)
        self.assertTrue((weights.grad[1] == 0).all())
        self.assertTrue((weights.grad[0] > 0).all())


class Distillation(unittest.TestCase):
    def test_kl_equals_the_library_and_vanishes_at_the_teacher(self):
        torch.manual_seed(1)
        student, teacher = torch.randn(4, 7), torch.randn(4, 7)
        expected = torch.nn.functional.kl_div(student.log_softmax(1), teacher.softmax(1), reduction="batchmean")
        self.assertAlmostEqual(losses.kl_to_teacher(student, teacher).item(), expected.item(), places=5)
        self.assertAlmostEqual(losses.kl_to_teacher(teacher + 3, teacher).item(), 0, places=5)

    def test_min_max_is_per_query_and_survives_equal_scores(self):
        scores = torch.tensor([[2.0, 4.0, 3.0], [5.0, 5.0, 5.0]])
        normal = losses.min_max(scores)
        torch.testing.assert_close(normal[0], torch.tensor([0.0, 1.0, 0.5]), atol=1e-5, rtol=0)
        self.assertTrue((normal[1] == 0).all())

    def test_ensemble_ignores_each_teachers_origin_and_scale(self):
        torch.manual_seed(2)
        a, b = torch.randn(3, 6), torch.randn(3, 6)
        mixed = losses.ensemble([a, b], [1.0, 3.0])
        moved = losses.ensemble([a * 100 - 7, b * 0.01 + 2], [1.0, 3.0])
        torch.testing.assert_close(mixed, moved, atol=1e-3, rtol=0)
        self.assertTrue(mixed.min() >= 0 and mixed.max() <= 1)

    def test_length_free_score_does_not_grow_with_the_query(self):
        idf = torch.ones(10)
        short, long = torch.tensor([[1, 0, 0, 0]]), torch.tensor([[1, 2, 3, 4]])
        document = torch.full((1, 10), 0.7)
        for ids in (short, long):
            queries = query_matrix(ids, idf.index_fill(0, torch.tensor([0]), 0.0))
            score = losses.length_free(queries @ document.T, queries.sum(1))
            self.assertAlmostEqual(score.item(), 0.7, places=5)

    def test_fit_scale_finds_the_factor(self):
        torch.manual_seed(3)
        student = torch.randn(5, 9)
        found = losses.fit_scale(student, student * 4, torch.tensor([1.0, 2.0, 4.0, 8.0]))
        self.assertEqual(found.item(), 4.0)

    def test_revival_pushes_dead_terms_up_and_leaves_live_ones(self):
        logits = torch.tensor([[-2.0, 6.0]], requires_grad=True)
        losses.revive(logits, torch.ones(1, 2), torch.ones(1)).backward()
        self.assertLess(logits.grad[0, 0].item(), -0.4)
        self.assertAlmostEqual(logits.grad[0, 1].item(), 0, places=4)


class CrossEncoderAsTeacher(unittest.TestCase):
    def test_it_reorders_own_documents_and_leaves_all_others(self):
        mixed = torch.tensor([[0.2, 0.6, 0.9, 0.1], [0.3, 0.5, 0.4, 0.8]])
        own = torch.tensor([[9.0, -9.0], [2.0, 1.0]])
        blended = losses.blend_own(mixed, own, 1.0)
        torch.testing.assert_close(blended[0, :2], torch.tensor([0.6, 0.2]), atol=1e-5, rtol=0)
        torch.testing.assert_close(blended[1, 2:], torch.tensor([0.8, 0.4]), atol=1e-5, rtol=0)
        torch.testing.assert_close(blended[0, 2:], mixed[0, 2:])
        torch.testing.assert_close(losses.blend_own(mixed, own, 0.0), mixed)

    def test_its_origin_and_scale_do_not_matter(self):
        torch.manual_seed(8)
        mixed, own = torch.rand(3, 12), torch.randn(3, 4)
        torch.testing.assert_close(losses.blend_own(mixed, own, 0.4), losses.blend_own(mixed, own * 30 - 5, 0.4), atol=1e-4, rtol=0)

    def test_equal_scores_say_nothing_wrong(self):
        mixed = torch.rand(2, 6)
        self.assertTrue(losses.blend_own(mixed, torch.zeros(2, 3), 1.0).isfinite().all())

    def test_target_is_half_the_label_for_labelled_queries_and_opinion_for_others(self):
        own = torch.tensor([[0.1, 0.9, 0.5], [0.1, 0.9, 0.5]])
        wanted = target(own, torch.tensor([True, False]), 8.0, 0.5)
        torch.testing.assert_close(wanted.sum(1), torch.ones(2))
        self.assertGreater(wanted[0, 0].item(), 0.5)
        self.assertEqual(wanted[1].argmax().item(), 1)
        self.assertLess(wanted[1, 0].item(), 0.01)

    def test_pairs_hold_query_and_document_and_cut_only_the_document(self):
        docs = from_lists([[500, 501, 502], [600, 601, 602, 603, 604, 605]])
        ids, mask, types = pairs(torch.tensor([[7, 8, 0], [9, 0, 0]]), docs, torch.tensor([0, 1]), 9)
        self.assertEqual(ids[0].tolist(), [CLS, 7, 8, SEP, 500, 501, 502, SEP, PAD])
        self.assertEqual(ids[1].tolist(), [CLS, 9, SEP, 600, 601, 602, 603, 604, SEP])
        self.assertEqual(types[0].tolist(), [0, 0, 0, 0, 1, 1, 1, 1, 0])
        self.assertEqual(mask.sum(1).tolist(), [8, 9])

    def test_a_document_is_scored_alike_alone_and_padded_in_a_batch(self):
        torch.manual_seed(9)
        model = CrossEncoder(TINY).double()
        docs = from_lists([[110, 111, 112], list(range(120, 138))])
        asked = torch.tensor([[150, 151], [150, 0]])
        together = model(*pairs(asked, docs, torch.tensor([0, 1]), 30))
        alone = model(*pairs(asked[:1], docs, torch.tensor([0]), 8))
        torch.testing.assert_close(together[:1], alone)
        self.assertNotAlmostEqual(together[0].item(), together[1].item())


class VectorTeacher(unittest.TestCase):
    def test_vanishes_at_the_teachers_vector_and_is_one_at_nothing(self):
        target_weights = torch.tensor([[1.0, 0.5, 0.0]])
        logits = torch.expm1(target_weights).masked_fill(target_weights == 0, -3.0)
        self.assertAlmostEqual(losses.vector_error(logits, target_weights, target_weights, torch.ones(1, 3)).item(), 0, places=6)
        zero = torch.zeros(1, 3)
        self.assertAlmostEqual(losses.vector_error(zero, zero, target_weights, torch.ones(1, 3)).item(), 1, places=6)

    def test_pulls_up_a_term_that_relu_has_switched_off(self):
        logits = torch.tensor([[-2.0, -2.0, 2.0]], requires_grad=True)
        losses.vector_error(logits, losses.log1p(logits), torch.tensor([[1.0, 0.0, 0.0]]), torch.ones(1, 3)).backward()
        self.assertLess(logits.grad[0, 0].item(), 0)
        self.assertEqual(logits.grad[0, 1].item(), 0)
        self.assertGreater(logits.grad[0, 2].item(), 0)

    def test_gradient_matches_central_differences(self):
        torch.manual_seed(10)
        logits = torch.randn(3, 6, dtype=torch.float64, requires_grad=True)
        wanted = torch.rand(3, 6, dtype=torch.float64) * (torch.rand(3, 6) > 0.4)
        idf = torch.rand(3, 6, dtype=torch.float64)
        self.assertTrue(torch.autograd.gradcheck(lambda x: losses.vector_error(x, losses.log1p(x), wanted, idf), (logits,)))

    def test_stored_vectors_score_like_the_encoder(self):
        model = tiny_model().float().eval()
        docs = from_lists([[104 + (i * 7 + j) % 90 for j in range(i + 3)] for i in range(9)])
        vectors = sparse_vectors(model, docs, keep=195)
        rows = torch.arange(docs.rows)
        exact = model.encode(*docs.padded(rows, 16))
        torch.testing.assert_close(vectors.dense(rows, 200), exact, atol=0.02, rtol=0.01)
        asked = torch.rand(4, 200)
        scores = SparseScores(vectors, None)(torch.arange(4), rows, asked)
        torch.testing.assert_close(scores, asked @ vectors.dense(rows, 200).T)

    def test_the_teachers_terms_come_first(self):
        model = tiny_model()
        ids = torch.randint(104, 200, (2, 10))
        states = model.head_states(ids, torch.ones_like(ids, dtype=torch.bool))
        lowest = model.pooled_logits(states)[:, 104:].topk(3, dim=1, largest=False).indices + 104
        also = torch.cat([lowest, torch.zeros(2, 2, dtype=torch.long)], 1)
        terms, logits = model.top_logits(states, 20, also)
        for i in range(2):
            self.assertTrue(set(lowest[i].tolist()) <= set(terms[i].tolist()))
            self.assertNotIn(0, terms[i].tolist())
        torch.testing.assert_close(logits, model.pooled_logits(states).gather(1, terms).float(), atol=1e-5, rtol=1e-5)


class Relevance(unittest.TestCase):
    def test_a_judged_document_moves_towards_its_probability_and_the_others_stay(self):
        mixed = torch.rand(2, 6)
        logits = torch.tensor([[9.0, -9.0, torch.nan], [torch.nan] * 3])
        out = losses.blend_relevance(mixed, logits, 0.5, 3.0)
        torch.testing.assert_close(out[1], mixed[1])
        torch.testing.assert_close(out[0, 2:], mixed[0, 2:])
        torch.testing.assert_close(out[0, :2], (mixed[0, :2] + torch.sigmoid(torch.tensor([3.0, -3.0]))) / 2)

    def test_candidates_are_scored_as_one_by_one(self):
        torch.manual_seed(5)
        config = {**TINY, "pooler": True}
        model = CrossEncoder(config).eval()
        queries = from_lists([[5, 6, 7], [8], [9, 10]])
        docs = from_lists([[20 + i] * (3 * i + 1) for i in range(9)])
        candidates = torch.tensor([[0, 8, 3], [4, 4, 1]])
        rows = torch.tensor([2, 0])
        got = relevance_of_candidates(model, queries, docs, rows, candidates, tokens_per_block=64)
        for i, row in enumerate(rows):
            for j, doc in enumerate(candidates[i]):
                alone = model(*pairs(queries.bare(row[None], 4), docs, doc[None], 32))
                self.assertAlmostEqual(got[i, j].item(), alone.item(), places=2)


class ProductQueryWeights(unittest.TestCase):
    def test_weights_follow_the_formula_of_search(self):
        idf = torch.tensor([0.0] * 110 + [4.0, 2.0, 6.0, 5.0])
        continues = torch.zeros(114, dtype=torch.bool)
        continues[112] = True
        weights = QueryWeights(idf, continues)
        frequency = torch.zeros(114)
        frequency[110] = 50
        base = weights.base(frequency, 100)
        index = math.log(1 + 50.5 / 50.5)
        self.assertAlmostEqual(base[110].item(), math.sqrt(4 * index), places=5)
        self.assertAlmostEqual(base[111].item(), 2.0, places=5)  # The index's idf is higher, so the table's is used.
        # 111 twice, once with a continuation (two pieces), once alone; 113 once.
        ids = torch.tensor([[111, 112, 111, 113, 0]])
        row = weights.matrix(ids, base)[0]
        self.assertAlmostEqual(row[111].item(), base[111].item() * math.sqrt(2), places=5)
        self.assertAlmostEqual(row[112].item(), base[112].item() / 2**0.25, places=5)
        self.assertAlmostEqual(row[113].item(), base[113].item(), places=5)
        self.assertEqual(row[0].item(), 0)

    def test_text_frequency_counts_documents(self):
        docs = from_lists([[5, 5, 6], [6], [7, 5]])
        self.assertEqual(text_frequency(docs, 10)[5:8].tolist(), [2, 2, 1])


class TwoOutputs(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(3)
        self.model = TwoOutputEncoder(TINY).eval()

    def test_a_vector_does_not_depend_on_padding(self):
        ids = torch.tensor([[101, 30, 31, 102, 0, 0]])
        mask = ids != 0
        body = self.model.bert(ids, mask)
        short = self.model.bert(ids[:, :4], mask[:, :4])
        torch.testing.assert_close(self.model.pooled(body, mask), self.model.pooled(short, mask[:, :4]), rtol=1e-4, atol=1e-5)

    def test_a_query_is_framed_and_marked(self):
        ids, mask = framed(torch.tensor([[7, 8, 0], [9, 0, 0]]))
        self.assertEqual(ids.tolist(), [[101, 7, 8, 102, 0], [101, 9, 102, 0, 0]])
        self.assertEqual(mask.sum(1).tolist(), [4, 3])

    def test_token_vectors_are_a_weighted_sum_and_leave_the_embeddings_alone(self):
        ids = torch.tensor([[7, 8], [7, 0], [8, 0]])
        weights = torch.tensor([[2.0, 3.0], [2.0, 0.0], [3.0, 0.0]])
        both, first, second = self.model.token_vectors(ids, weights)
        torch.testing.assert_close(both, first + second, rtol=1e-4, atol=1e-5)
        both.sum().backward()
        self.assertIsNone(self.model.bert.embeddings.word_embeddings.weight.grad)

    def test_the_exponent_has_a_finite_gradient_at_zero(self):
        self.model.exponent = 0.8
        weights = torch.tensor([[0.0, 0.5]], requires_grad=True)
        self.model.scored(weights).sum().backward()
        self.assertTrue(weights.grad.isfinite().all())
        self.assertEqual(weights.grad[0, 0].item(), 0)


class PublishedNames(unittest.TestCase):
    def test_a_bare_body_and_a_whole_masked_lm_get_this_projects_names(self):
        one = torch.ones(1)
        bare = checkpoint.with_prefix({"embeddings.LayerNorm.weight": one, "pooler.dense.weight": one, "embeddings.position_ids": one})
        self.assertEqual(list(bare), ["bert.embeddings.LayerNorm.weight"])
        whole = checkpoint.with_prefix({
            "bert.embeddings.LayerNorm.gamma": one, "cls.predictions.transform.LayerNorm.beta": one, "cls.predictions.decoder.weight": one, "bert.pooler.dense.bias": one,
        })  # fmt: skip
        self.assertEqual(list(whole), ["bert.embeddings.LayerNorm.weight", "cls.predictions.transform.LayerNorm.bias"])


class Mixing(unittest.TestCase):
    def test_the_grid_has_every_mixture_once(self):
        points = list(losses.grid(3, 0.25))
        self.assertEqual(len(points), 15)
        self.assertEqual(len(set(points)), 15)
        self.assertTrue(all(abs(sum(p) - 1) < 1e-9 for p in points))

    def test_the_mean_is_weighted(self):
        mixed = mean([{"x": torch.tensor([1.0])}, {"x": torch.tensor([5.0])}], (0.25, 0.75))
        self.assertAlmostEqual(mixed["x"].item(), 4.0)

    def test_a_tensor_that_one_state_lacks_is_the_mean_of_the_others(self):
        states = [{"a": torch.tensor([0.0])}, {"a": torch.tensor([4.0]), "b": torch.tensor([2.0])}]
        mixed = mean(states, (0.75, 0.25))
        self.assertEqual((mixed["a"].item(), mixed["b"].item()), (1.0, 2.0))
        self.assertEqual(mean(states, (1.0, 0.0))["b"].item(), 2.0)

    def test_the_bias_is_lowered_as_little_as_the_budget_asks(self):
        logits = torch.linspace(0.0005, 1.0, 1000)
        terms_of = lambda state: (logits + state[BIAS] > 0).sum().item()  # noqa: E731
        state, lower = cut({BIAS: torch.zeros(1)}, terms_of, 700, precision=0.01)
        self.assertLessEqual(terms_of(state), 700)
        self.assertGreater(terms_of({BIAS: state[BIAS] + 0.01}), 700)
        self.assertAlmostEqual(lower, 0.3, places=6)
        self.assertEqual(cut({BIAS: torch.zeros(1)}, terms_of, 1000)[1], 0.0)


class SparseHead(unittest.TestCase):
    def gradients(self, dense: bool, activation: str = "log1p"):
        model = tiny_model(activation=activation)
        # Shifts the bias so that some terms are off. They must get no gradient on either path.
        with torch.no_grad():
            model.cls.predictions.bias.sub_(0.3)
        torch.manual_seed(5)
        ids = torch.randint(104, 200, (3, 12))
        mask = torch.arange(12)[None, :] < torch.tensor([[12], [7], [3]])
        states = model.head_states(ids, mask)
        if dense:
            logits = states @ model.bert.embeddings.word_embeddings.weight.T + model.cls.predictions.bias
            pooled = logits.amax(1).index_fill(1, torch.tensor([0, 100, 101, 102, 103]), -1.0)
            weights = model.activation(pooled)
        else:
            weights = model.term_weights(states, keep=195).double()
        torch.manual_seed(6)
        (weights * torch.randn(weights.shape, dtype=torch.float64)).sum().backward()
        return weights.detach(), {n: p.grad for n, p in model.named_parameters() if p.grad is not None}

    def test_winning_pairs_give_the_gradient_of_the_dense_graph(self):
        for activation in ("log1p", "log1p2"):
            expected, expected_gradients = self.gradients(dense=True, activation=activation)
            weights, gradients = self.gradients(dense=False, activation=activation)
            torch.testing.assert_close(weights, expected, atol=1e-6, rtol=0)
            self.assertEqual(gradients.keys(), expected_gradients.keys())
            for name, gradient in gradients.items():
                torch.testing.assert_close(gradient, expected_gradients[name], atol=1e-5, rtol=1e-4, msg=name)

    def test_padding_changes_nothing(self):
        model = tiny_model()
        ids = torch.randint(104, 200, (2, 9))
        alone = model.encode(ids, torch.ones_like(ids, dtype=torch.bool))
        wide = torch.cat([ids, torch.zeros(2, 5, dtype=torch.int64)], dim=1)
        padded = model.encode(wide, torch.arange(14)[None, :] < torch.tensor([[9], [9]]))
        torch.testing.assert_close(alone, padded)

    def test_special_ids_weigh_nothing(self):
        weights = tiny_model().encode(torch.randint(104, 200, (2, 9)), torch.ones(2, 9, dtype=torch.bool))
        self.assertEqual(weights[:, [0, 100, 101, 102, 103]].abs().sum().item(), 0)


class Checkpoints(unittest.TestCase):
    def test_round_trip_is_within_half_a_step_of_each_row(self):
        state = {k: v.float() for k, v in tiny_model().state_dict().items()}
        with tempfile.TemporaryDirectory() as folder:
            checkpoint.save(Path(folder) / "x", state, {"step": 1})
            back = checkpoint.load(Path(folder) / "x")
        self.assertEqual(state.keys(), back.keys())
        for name, value in state.items():
            bound = value.abs().amax(1, keepdim=True) / 254 + 1e-7 if value.dim() == 2 else 0 * value
            self.assertTrue(((value - back[name]).abs() <= bound).all(), name)
        again = checkpoint.fake_quantized(state)
        for name, value in again.items():
            torch.testing.assert_close(value, back[name])


    def test_reads_a_released_model(self):
        folder = Path(__file__).resolve().parents[3] / "models" / "winnow-mini"
        packed, state = checkpoint.read_winnow(folder / "weights.winnow"), checkpoint.load(folder)
        words = "bert.embeddings.word_embeddings.weight"
        self.assertEqual(state[words].shape, (30522, 384))
        rounded, scale = checkpoint.quantize_rows(state[words])
        self.assertTrue(torch.equal(rounded, packed[words]))
        torch.testing.assert_close(scale, packed[f"{words}.scale"])

    def test_reads_a_released_model_with_patterns(self):
        state = checkpoint.load(Path(__file__).resolve().parents[3] / "models" / "winnow-rerank")
        matrix = state["bert.encoder.layer.0.intermediate.dense.weight"]
        self.assertEqual(matrix.shape, (1536, 384))
        used = (matrix != 0).view(-1, 16).sum(1)
        self.assertEqual(int(used.max()), 4)
        self.assertGreater(used.float().mean(), 3.9)
        self.assertEqual(state["bert.embeddings.LayerNorm.weight"].shape, (384,))

    def test_a_bit_map_and_kept_weights_give_the_matrix_with_its_zeros(self):
        rng = np.random.default_rng(4)
        for unit, columns in ((1, 32), (1, 20), (4, 48)):
            kept = rng.random((5, columns // unit)) < 0.4
            matrix = np.repeat(kept, unit, axis=1) * rng.integers(1, 127, (5, columns), dtype=np.int8)
            stored = np.concatenate([np.packbits(kept, axis=1, bitorder="little").flatten().view(np.int8), matrix[np.repeat(kept, unit, axis=1)]])
            np.testing.assert_array_equal(checkpoint.expanded(stored, (5, columns), unit), matrix)


def small_world(student: torch.Tensor | None = None) -> tuple[dict, TokenTable]:
    """Six documents, eight real queries (one of weight 0, one of a source to leave out) and no spans."""
    docs = from_lists([[10 + i] * 5 for i in range(6)])
    rows = torch.arange(8)
    prepared = {
        "queries": from_lists([[10 + i % 6] for i in range(8)]),
        "real": 8,
        "positive": rows % 6,
        "weight": torch.tensor([1.0] * 7 + [0.0]),
        "candidates": (rows[:, None] + torch.arange(1, 5)) % 6,
        "student_candidates": student,
        "groups": torch.zeros(8, dtype=torch.int64),
        "source": torch.tensor([0] * 6 + [1, 0]),
        "source_names": ["kept", "bio-left"],
    }
    return prepared, docs


class Drawing(unittest.TestCase):
    settings = {
        "buckets": [{"width": 16, "queries": 64, "share": 1.0}], "docs_per_query": 3, "span_share": 0.0, "hide_source": 0.0,
        "rank_bias": 0.5, "run": 4, "window": 8, "student_share": 0.0,
    }  # fmt: skip

    def draw(self, student: torch.Tensor | None = None, **changed):
        prepared, docs = small_world(student)
        batches = Batches(prepared, docs, {**self.settings, **changed}, torch.Generator().manual_seed(0))
        return batches.draw(0)

    def test_queries_of_weight_zero_and_sources_left_out_never_come(self):
        self.assertEqual(set(self.draw()[0].tolist()), {0, 1, 2, 3, 4, 5, 6})
        self.assertEqual(set(self.draw(without_sources=["bio-"])[0].tolist()), {0, 1, 2, 3, 4, 5})

    def test_the_anchor_comes_first_and_a_share_of_queries_takes_the_students_negatives(self):
        queries, documents = self.draw()
        self.assertTrue(torch.equal(documents[:, 0], queries % 6))
        student = torch.full((8, 4), 5)
        _, documents = self.draw(student, student_share=1.0)
        self.assertTrue((documents[:, 1:] == 5).all())
        queries, documents = self.draw(student[:2], student_share=1.0)
        self.assertTrue((documents[queries < 2][:, 1:] == 5).all())
        self.assertFalse((documents[queries >= 2][:, 1:] == 5).all())

    def test_mining_with_a_student_finds_what_brute_force_finds(self):
        model = tiny_model().float()
        docs = from_lists([torch.randint(104, 200, (7,)).tolist() for _ in range(40)])
        queries = torch.randint(104, 200, (5, 3))
        idf = torch.rand(200) + 0.5
        found = mine_sparse(sparse_vectors(model, docs, 200), queries, idf, 3, block=16)
        weights = model.encode(*docs.padded(torch.arange(40), 9)).bfloat16()
        scores = query_matrix(queries, idf).bfloat16() @ weights.T
        torch.testing.assert_close(scores.gather(1, found.long()), scores.topk(3, dim=1).values)


class Data(unittest.TestCase):
    def test_padded_rows_have_their_specials_and_their_cut(self):
        table = from_lists([[5, 6, 7], [8]])
        ids, mask = table.padded(torch.tensor([0, 1]), 4)
        self.assertEqual(ids.tolist(), [[CLS, 5, 6, SEP], [CLS, 8, SEP, 0]])
        self.assertEqual(mask.sum(1).tolist(), [4, 3])
        self.assertEqual(table.padded(torch.tensor([1]), 5, (9, 10))[0].tolist(), [[CLS, 9, 10, 8, SEP]])

    def test_spans_hold_whole_words_of_their_document(self):
        continues = torch.zeros(60, dtype=torch.bool)
        continues[50:] = True  # pieces 50..59 continue a word
        rows = [[10, 50, 11, 12, 51, 52, 13], [20, 21, 22, 23, 53], [30, 54]]
        spans, source = draw_spans(from_lists(rows), torch.ones(3), continues, 500, torch.Generator().manual_seed(0), longest=6)
        self.assertGreater(spans.rows, 100)
        for i in range(spans.rows):
            piece = spans.tokens[spans.offsets[i] : spans.offsets[i + 1]].tolist()
            row = rows[int(source[i])]
            at = next(j for j in range(len(row)) if row[j : j + len(piece)] == piece)
            self.assertFalse(continues[piece[0]])
            self.assertTrue(at + len(piece) == len(row) or not continues[row[at + len(piece)]])

    def test_bm25_saturates_and_ignores_specials(self):
        weights = bm25_weights(torch.tensor([[101, 5, 5, 5, 6, 102]]), 4.0, 200)
        self.assertEqual(weights[0, 101].item(), 0)
        self.assertTrue(1 < weights[0, 5] < 1.9)
        self.assertAlmostEqual(weights[0, 6].item(), 1.0, places=5)

    def test_judged_logits_keep_the_judges_scale(self):
        mixed, judged = torch.tensor([[0.0, 0.5, 1.0]]), torch.tensor([[5.0, -7.0, -4.0]])
        self.assertTrue(torch.allclose(losses.judged_logits(mixed, judged, torch.ones(1)), judged))
        others = losses.judged_logits(mixed, judged, torch.zeros(1))
        self.assertTrue(torch.allclose(others.mean(1), judged.mean(1)) and torch.allclose(others.std(1), judged.std(1), rtol=1e-4))
        self.assertEqual(others.argsort().tolist(), mixed.argsort().tolist())

    def test_margin_mse_counts_every_pair_and_ignores_the_level(self):
        torch.manual_seed(3)
        student, teacher = torch.randn(2, 5), torch.randn(2, 5)
        margins = lambda x: x[:, :, None] - x[:, None, :]  # noqa: E731
        self.assertAlmostEqual(losses.margin_mse(student, teacher).item(), (margins(student) - margins(teacher)).square().mean().item(), places=5)
        self.assertAlmostEqual(losses.margin_mse(teacher + 9, teacher).item(), 0, places=5)

    def test_a_shallower_model_keeps_evenly_spaced_layers_and_the_last(self):
        deep = CrossEncoder({**TINY, "num_hidden_layers": 6, "pooler": True})
        state = evenly_spaced(deep.state_dict(), 3)
        CrossEncoder({**TINY, "num_hidden_layers": 3, "pooler": True}).load_state_dict(state)
        for own, of in ((0, 1), (1, 3), (2, 5)):
            name = "attention.self.query.weight"
            self.assertTrue(torch.equal(state[f"bert.encoder.layer.{own}.{name}"], deep.state_dict()[f"bert.encoder.layer.{of}.{name}"]))

    def test_neighbours_documents_replace_the_last_ones(self):
        rows = torch.arange(6).view(2, 3)
        self.assertEqual(with_neighbours(rows, 1).tolist(), [[0, 1, 3], [3, 4, 0]])
        self.assertIs(with_neighbours(rows, 0), rows)

    def test_the_judges_share_depends_on_the_source(self):
        shares = shares_by_source(["web", "arxiv"], {"web": 0.75, "other": 0.5, "spans": 0.25}, "cpu")
        self.assertEqual(shares.tolist(), [0.75, 0.5, 0.25])

    def test_a_token_table_starts_as_the_tokens_own_query_vectors(self):
        torch.manual_seed(4)
        model = TwoOutputEncoder({**TINY, "token_table": 8})
        model.start_table()
        own = torch.nn.functional.normalize(model.query_vectors(torch.tensor([[7]]))[:, :8], dim=1)
        self.assertTrue(torch.allclose(model.token_vectors(torch.tensor([[7, 0]]), torch.tensor([[2.0, 0.0]])), 2 * own, atol=1e-5))

    def test_a_fitted_token_table_is_nearer_to_the_models_query_vectors(self):
        torch.manual_seed(4)
        model = TwoOutputEncoder({**TINY, "token_table": 8})
        model.start_table()
        queries = from_lists([torch.randint(104, 160, (int(n),)).tolist() for n in torch.randint(1, 5, (400,))])
        idf = torch.ones(TINY["vocab_size"])
        weights = QueryWeights(idf, torch.zeros(len(idf), dtype=torch.bool))
        figures = fit_table(model, queries, weights, idf, width=6, steps=60, batch=128, held=64)
        self.assertEqual(figures["queries"], 400)
        self.assertGreater(figures["after"], figures["before"] + 0.01)
        again = fit_table(model, queries, weights, idf, width=6, steps=0, batch=128, held=64)
        self.assertAlmostEqual(again["before"], figures["after"], places=3)

    def test_ndcg_matches_a_hand_count(self):
        scores = torch.tensor([[3.0, 2.0, 1.0]])
        gains = torch.tensor([[0.0, 2.0, 1.0]])
        discount = [1, 1 / 1.5849625, 0.5]
        self.assertAlmostEqual(
            ndcg_at_10(scores, gains), (2 * discount[1] + discount[2]) / (2 + discount[1]), places=5
        )


if __name__ == "__main__":
    unittest.main()

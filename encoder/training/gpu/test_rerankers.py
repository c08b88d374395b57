"""Checks on a CPU of rerankers that keep their zeros, and of the first hits that they reorder.

    python -m unittest test_rerankers      # from this folder
"""

import unittest

import torch

from checkpoint import pack, unpack
from compare_rerankers import FirstHits, first_stages
from evaluate import EvalSet, evaluate, ndcg_at_10, zscored
from mix import mean
from model import CrossEncoder, TwoOutputEncoder
from optimizer import MasterAdamW
from query_weights import QueryWeights
from reranker import LAYER, Zeros, masks_of_zeros
from test_losses import TINY
from tokens import from_lists


def half_zero(seed: int) -> dict[str, torch.Tensor]:
    """A cross-encoder's weights with the same half of each first layer's matrix at 0 for every seed."""
    torch.manual_seed(seed)
    state = CrossEncoder({**TINY, "pooler": True}).state_dict()
    kept = lambda value: (torch.arange(value.numel()).view(value.shape) * 7) % 16 < 8  # noqa: E731
    return {n: v * kept(v) if n.startswith(f"{LAYER}0.") and v.dim() == 2 else v for n, v in state.items()}


class KeptZeros(unittest.TestCase):
    def test_only_matrices_of_layers_with_many_zeros_have_a_mask(self):
        state = half_zero(0)
        state[f"{LAYER}1.output.dense.weight"][0, :2] = 0
        found = masks_of_zeros(state)
        wanted = {n for n in state if n.startswith(f"{LAYER}0.") and state[n].dim() == 2}
        self.assertEqual(set(found), wanted)
        self.assertTrue(all(torch.equal(mask, state[name] != 0) for name, mask in found.items()))

    def test_steps_change_the_other_weights_alone_and_a_mean_has_the_same_zeros(self):
        states = []
        for seed in (0, 1):
            start = half_zero(seed)
            model = CrossEncoder({**TINY, "pooler": True})
            model.load_state_dict(start)
            optimizer = MasterAdamW(model, {})
            zeros = Zeros(start, optimizer)
            for _ in range(5):
                sum((p * torch.randn_like(p)).sum() for p in model.parameters()).backward()
                optimizer.step(1e-2, change_gradients=zeros.hold)
            states.append(unpack(pack(optimizer.weights(averaged=True))))
            for name, mask in masks_of_zeros(start).items():
                self.assertEqual(states[-1][name][~mask].abs().max().item(), 0)
                self.assertGreater((states[-1][name] != start[name])[mask].float().mean().item(), 0.9)
        both = mean(states, (0.5, 0.5))
        for name, mask in masks_of_zeros(half_zero(0)).items():
            self.assertEqual(both[name][~mask].abs().max().item(), 0)


class Hits(unittest.TestCase):
    def setUp(self):
        generator = torch.Generator().manual_seed(3)
        rows = lambda count, length: from_lists([torch.randint(104, 200, (length,), generator=generator).tolist() for _ in range(count)])  # noqa: E731
        gains = (torch.rand(4, 30, generator=generator) < 0.2).float()
        gains[:, 0] = 1
        self.data = EvalSet(rows(30, 9), rows(4, 3), gains, torch.zeros(0, 2, dtype=torch.int64))
        self.scores = torch.rand(4, 30, generator=generator)
        self.stage = torch.rand(4, 30, generator=generator)

    def test_a_stage_reorders_by_the_mixture_and_says_where_its_hits_were(self):
        hits = FirstHits.best(self.data, self.scores, 12)
        moved, places = hits.reordered_by(self.stage[:, :12], 0.4)
        self.assertTrue(torch.equal(hits.rows.gather(1, places), moved.rows))
        for q in range(4):
            mixed = 0.6 * hits.scores[q] + 0.4 * zscored(self.stage[q : q + 1, :12])[0]
            self.assertEqual(moved.rows[q].tolist(), hits.rows[q][mixed.argsort(descending=True)].tolist())

    def test_a_cut_reorders_no_more_than_its_hits(self):
        cut = FirstHits.best(self.data, self.scores, 12).cut(10)
        self.assertEqual(cut.rows.shape, (4, 10))
        best = torch.full_like(self.scores, -torch.inf).scatter(1, cut.rows, self.stage[:, :10])
        # Share 1 is the stage alone; share 0 the order of before.
        figures = cut.figures(self.stage[:, :10])
        self.assertAlmostEqual(figures[-1], ndcg_at_10(best, self.data.gains), places=3)
        self.assertAlmostEqual(figures[0], ndcg_at_10(self.scores, self.data.gains), places=3)

    def test_the_vector_stage_is_that_of_evaluation(self):
        torch.manual_seed(2)
        model = TwoOutputEncoder({**TINY, "token_table": 0}).eval()
        weights = QueryWeights(torch.rand(TINY["vocab_size"]) + 0.5, torch.zeros(TINY["vocab_size"], dtype=torch.bool))
        stages = first_stages(model, self.data, weights, 0.4)
        found = evaluate(model, self.data, weights, share=0.4)
        for name, key in (("sparse", "ndcg10"), ("vector", "vector")):
            hits, places = stages[name]
            self.assertTrue(torch.equal(stages["sparse"][0].rows.gather(1, places), hits.rows))
            self.assertAlmostEqual(hits.figures(hits.scores)[0], found[key], places=3)
        self.assertEqual(list(first_stages(model, self.data, weights, 0.0)), ["sparse"])


if __name__ == "__main__":
    unittest.main()

"""Checks of the web set's parts on a CPU.

    python -m unittest test_web_set      # from this folder
"""

import unittest

import torch
import torch.nn.functional as F

from teachers import bm25_weights, mine_sparse
from test_losses import TINY
from tokens import from_lists
from web_set import bm25_vectors, grades_of, pooled, too_near

VOCAB = TINY["vocab_size"]


class WebSet(unittest.TestCase):
    def test_a_pool_has_every_document_once(self):
        generator = torch.Generator().manual_seed(4)
        found = [torch.randint(0, 12, (20, 6), generator=generator).int() for _ in range(3)]
        for row, lists in zip(pooled(found), zip(*found)):
            kept = row[row >= 0].tolist()
            self.assertEqual(kept, sorted({int(d) for documents in lists for d in documents}))

    def test_grades_count_the_thresholds_that_are_reached(self):
        logits = torch.tensor([[-0.1, 0.0, 2.9], [3.0, 7.5, torch.nan]])
        self.assertEqual(grades_of(logits, [0.0, 3.0, 6.0]).tolist(), [[0, 1, 1], [2, 3, 0]])

    def test_equal_and_near_queries_of_any_model_leave_training(self):
        generator = torch.Generator().manual_seed(5)
        one, two = (F.normalize(torch.randn(300, 16, generator=generator), dim=1) for _ in range(2))
        held = torch.tensor([3, 250])
        one[7] = one[3]
        two[11] = F.normalize(two[250] + 0.05 * two[3], dim=0)
        near = too_near(held, [one, two], 0.95)
        slow = [i in (3, 250) or max((v[i] @ v[h]).item() for v in (one, two) for h in held) >= 0.95 for i in range(300)]
        self.assertEqual(near.tolist(), slow)
        self.assertTrue(near[[3, 7, 11, 250]].all())
        self.assertLess(near.sum().item(), 20)

    def test_bm25_of_blocks_ranks_like_bm25_of_all(self):
        generator = torch.Generator().manual_seed(6)
        docs = from_lists([torch.randint(104, VOCAB, (3 + i % 9,), generator=generator).tolist() for i in range(30)])
        idf = torch.rand(VOCAB, generator=generator) + 0.5
        queries = torch.randint(104, VOCAB, (5, 4), generator=generator)
        weights = bm25_weights(docs.padded(torch.arange(30), 16)[0], docs.lengths().float().mean().item(), VOCAB)
        matrix = torch.zeros(5, VOCAB).scatter_(1, queries, idf[queries])
        best = (matrix @ weights.T).topk(1, dim=1)
        found = mine_sparse(bm25_vectors(docs, 16, VOCAB, width=16, block=7), queries, idf, 1)
        reached = (matrix @ weights.T).gather(1, found.long())
        # Vectors are stored in bf16, so a tie may break the other way.
        self.assertTrue(torch.allclose(reached, best.values, rtol=0.02))


if __name__ == "__main__":
    unittest.main()

"""Checks that nothing evaluated enters the training data.

    python -m unittest test_data      # from this folder
"""

import random
import unittest

from biomedical import Articles
from build_data import Evaluated

EVALUATED = "Dietary fibre and the colon. We followed nine hundred adults over twelve years and counted polyps found at every visit to the clinic in Leeds."


class Overlap(unittest.TestCase):
    def setUp(self):
        self.evaluated = Evaluated()
        self.evaluated.add_passage("Dietary fibre and the colon.", EVALUATED.removeprefix("Dietary fibre and the colon. "))

    def test_the_same_text_is_found_whatever_its_case_and_punctuation(self):
        self.assertTrue(self.evaluated.holds(EVALUATED.upper().replace(",", ";")))

    def test_a_copy_inside_another_text_is_found(self):
        self.assertTrue(self.evaluated.holds(f"BACKGROUND: Little is known of this question so far. {EVALUATED[29:]} More followed."))

    def test_a_stock_phrase_alone_is_not_enough(self):
        shared = " ".join(EVALUATED.split()[5:17])
        self.assertFalse(self.evaluated.holds(f"Something else entirely was asked here, and {shared} other things than those in quite another town."))


class Claims(unittest.TestCase):
    def test_the_claim_is_cut_out_of_its_passage(self):
        articles = Articles(random.Random(0))
        abstract = "BACKGROUND: Sleep is short. We asked many nurses. They slept at home in their beds. CONCLUSIONS: Our results suggest that night shifts shorten sleep by an hour."
        claim, rest = articles.claim(abstract)
        self.assertEqual(claim, "night shifts shorten sleep by an hour.")
        self.assertNotIn("shorten", rest)
        self.assertNotIn("BACKGROUND", rest)

    def test_an_abstract_is_taken_once(self):
        articles = Articles(random.Random(0))
        for title in ("One", "Another"):
            articles.add(title, "Words of an abstract. " * 30)
        self.assertEqual(sum(map(len, articles.pairs.values())) + len(articles.texts), 1)


if __name__ == "__main__":
    unittest.main()

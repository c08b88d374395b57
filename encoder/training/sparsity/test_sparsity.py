"""Checks of every method's defining property on a CPU.

    python -m unittest test_sparsity      # from this folder
"""

import random
import unittest

import torch

import recipe  # noqa: F401
import checkpoint
from allocation import GENES, Allocation, Costs, Space, evo_press, random_search
from calibration import InputStatistics, input_statistics
from cast import Cast
from early_learning import EarlyLearning
from fitness import Distance, PrunedParent
from gradient_flow import MaskDecay, StructureDecay
from learned_masks import LearnedMasks, LowRankImportance
from method import Matrix, Method
from methods import METHODS
from model import CrossEncoder
from optimizer import MasterAdamW
from parts_of_loss import LayerOutputs, consistency, noisy_layers, signal_to_noise, square_head
from patterns import assign, described, holds, mask_of, parse, place
from ratios import erdos_renyi, with_ratios
from scores import magnitude, masks, repair, wanda
from soft_shrinkage import SoftShrinkage
from sparse_soup import average
from activations import CHUNK, SparseActivation, Thresholds, chunk_loss, make_sparse, thresholds, units_used
from derive_config import merged
from structure import StructuredCrossEncoder, early_state
from typos import with_typos
from train_sparse import cross_encoder, depth, without_layers
from wide import alternating, intermediate_size, widened
from straight_through import StraightThrough

TINY = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64, "vocab_size": 120,
    "max_position_embeddings": 40, "type_vocab_size": 2, "layer_norm_eps": 1e-12, "pooler": True,
}  # fmt: skip
PATTERNS = ["4:16", "8:16", "12:16", "2:4", "4x1 75%", "4x1 87.5%"]


def tiny(seed: int = 0) -> CrossEncoder:
    torch.manual_seed(seed)
    model = CrossEncoder(TINY)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.normal_(0, 0.3)
    return model


def inputs(seed: int = 0, pairs: int = 6, width: int = 12) -> tuple:
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(5, TINY["vocab_size"], (pairs, width), generator=generator)
    return ids, torch.ones_like(ids, dtype=torch.bool), (torch.arange(width) > 4).long().expand(pairs, -1)


def matrices(model: CrossEncoder, optimizer: MasterAdamW, settings: dict) -> dict[str, Matrix]:
    masters, working = dict(zip(optimizer.names, optimizer.masters)), dict(zip(optimizer.names, optimizer.working))
    patterns = assign(optimizer.names, settings)
    return {n: Matrix(p, working[n], masters[n], mask_of(magnitude(masters[n]), p)) for n, p in patterns.items()}


def run(kind: type[Method], settings: dict, steps: int = 24, pattern: str = "4:16", seed: int = 0):
    """Trains a tiny model towards another one's logits -> method, optimizer, first and last loss."""
    model, goal = tiny(seed), tiny(seed + 1)
    optimizer = MasterAdamW(model, {}, 0.0, 0.5)
    method = kind(matrices(model, optimizer, {"default": pattern}), settings)
    seen = []
    for step in range(steps):
        batch = inputs(step % 3)
        with torch.no_grad():
            wanted = goal(*batch)
        loss = (model(*batch) - wanted).square().mean()
        loss.backward()
        progress = step / steps
        optimizer.step(3e-3, change_gradients=lambda: method.change_gradients(progress))
        method.change_weights(3e-3, progress)
        seen.append(loss.item())
    return method, optimizer, model, seen


class Patterns(unittest.TestCase):
    def test_keep_exactly_their_number_and_the_highest_scores(self):
        scores = torch.rand(10, 64)
        for name in PATTERNS:
            pattern = parse(name)
            mask = mask_of(scores, pattern)
            self.assertTrue(holds(mask.float(), pattern), name)
            self.assertAlmostEqual(mask.float().mean().item(), pattern.density, msg=name)
        group = scores.view(10, 4, 16)
        mask = mask_of(scores, parse("4:16")).view(10, 4, 16)
        kept = torch.where(mask, group, torch.inf).amin(2)
        self.assertTrue((torch.where(mask, -torch.inf, group).amax(2) <= kept).all())

    def test_one_more_weight_breaks_them(self):
        for name in PATTERNS:
            pattern = parse(name)
            mask = mask_of(torch.rand(4, 64), pattern)
            mask.view(-1)[(~mask).view(-1).nonzero()[0]] = True
            self.assertFalse(holds(mask.float(), pattern), name)

    def test_blocks_are_four_consecutive_inputs_of_one_output(self):
        mask = mask_of(torch.rand(6, 64), parse("4x1 75%")).view(6, 16, 4)
        self.assertTrue((mask.all(2) == mask.any(2)).all())
        self.assertEqual(mask.any(2).sum(1).tolist(), [4] * 6)

    def test_survive_the_rounding_of_a_checkpoint(self):
        weight = torch.randn(32, 64)
        for name in PATTERNS:
            pattern = parse(name)
            state = checkpoint.unpack(checkpoint.pack({"w": weight * mask_of(magnitude(weight), pattern)}))
            self.assertTrue(holds(state["w"], pattern), name)

    def test_only_the_matrices_of_layers_are_sparse(self):
        names = [name for name, _ in tiny().named_parameters()]
        found = assign(names, {"default": "4:16", "query": "8:16", "1.output": "dense"})
        self.assertEqual(len(found), 11)
        self.assertEqual(found["bert.encoder.layer.1.attention.self.query.weight"].name, "8:16")
        self.assertNotIn("bert.encoder.layer.1.output.dense.weight", found)
        for name in ("bert.embeddings.word_embeddings.weight", "bert.pooler.dense.weight", "classifier.weight", "bert.encoder.layer.0.output.LayerNorm.weight"):
            self.assertIsNone(place(name))
        with self.assertRaises(ValueError):
            assign(names, {"quary": "4:16"})
        with self.assertRaises(ValueError):
            parse("half")

    def test_a_width_that_groups_do_not_divide_is_rejected(self):
        with self.assertRaises(ValueError):
            mask_of(torch.rand(4, 24), parse("4:16"))

    def test_described_counts_the_fullest_group(self):
        state = {"bert.encoder.layer.0.output.dense.weight": torch.eye(16)}
        self.assertTrue(described(state)["0.output"].startswith("1:16, 0.062"))


class Ratios(unittest.TestCase):
    shapes = {"a": (384, 384), "b": (1536, 384), "c": (384, 1536), "d": (16, 16)}

    def test_densities_add_up_to_the_target(self):
        sizes = {name: r * c for name, (r, c) in self.shapes.items()}
        for density in (0.02, 0.25, 0.5, 0.9):
            found = erdos_renyi(self.shapes, density)
            kept = sum(found[n] * sizes[n] for n in sizes)
            self.assertAlmostEqual(kept / sum(sizes.values()), density, places=6)
            self.assertTrue(all(0 < d <= 1 for d in found.values()))
            self.assertGreaterEqual(found["a"], found["b"])

    def test_rounded_patterns_stay_within_the_budget(self):
        for name in ("4:16", "8:16", "4x1 75%"):
            assigned = {n: parse(name) for n in ("a", "b", "c")}
            found = with_ratios(assigned, self.shapes)
            sizes = {n: self.shapes[n][0] * self.shapes[n][1] for n in assigned}
            kept = sum(p.density * sizes[n] for n, p in found.items())
            wanted = sum(p.density * sizes[n] for n, p in assigned.items())
            self.assertLessEqual(kept, wanted + 1e-6)
            self.assertGreater(kept, 0.93 * wanted)
            self.assertGreater(found["a"].density, found["b"].density)


class WithoutTraining(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(3)
        self.weight = torch.randn(24, 64)
        # Inputs with means and deviations of their own, as after a GELU.
        self.x = torch.randn(4000, 64) * torch.rand(64) * 2 + torch.randn(64)
        self.stats = InputStatistics(self.x.mean(0), self.x.square().mean(0))

    def error(self, mask) -> float:
        return (self.x @ (self.weight * ~mask).T).square().mean().item()

    def test_wanda_loses_less_than_magnitude_and_magnitude_less_than_random(self):
        pattern = parse("4:16")
        x = torch.randn(4000, 64) * torch.rand(64) * 2
        stats = InputStatistics(x.mean(0), x.square().mean(0))
        self.x = x
        by = {kind: self.error(masks(kind, {"w": self.weight}, {"w": pattern}, {"w": stats})["w"]) for kind in ("random", "magnitude", "wanda")}
        self.assertLess(by["wanda"], by["magnitude"])
        self.assertLess(by["magnitude"], by["random"])

    def test_repair_keeps_the_pattern_and_lowers_the_error(self):
        for name in PATTERNS:
            pattern = parse(name)
            before = mask_of(wanda(self.weight, self.stats), pattern)
            after = repair(self.weight, before, pattern, self.stats)
            self.assertTrue(holds(after.float(), pattern), name)
            self.assertEqual(after.sum(), before.sum())
            mean_error = lambda mask: (self.weight * ~mask * self.stats.mean).sum(1).abs()  # noqa: E731
            self.assertTrue((mean_error(after) <= mean_error(before) + 1e-6).all(), name)
            self.assertLess(self.error(after), self.error(before), name)

    def test_repair_of_a_mask_without_error_changes_nothing(self):
        stats = InputStatistics(torch.zeros(64), torch.ones(64))
        mask = mask_of(magnitude(self.weight), parse("4:16"))
        self.assertTrue(torch.equal(repair(self.weight, mask, parse("4:16"), stats), mask))

    def test_unknown_kinds_are_rejected(self):
        for kind in ("best", "wanda+best"):
            with self.assertRaises(ValueError):
                masks(kind, {}, {})

    def test_statistics_are_those_of_each_matrix(self):
        model = tiny()
        batch = inputs()
        found = input_statistics(model, [batch, inputs(1)])
        self.assertEqual(len(found), 12)
        first = model.bert.embeddings
        ids, mask, types = batch
        x = first.LayerNorm(first.word_embeddings(ids) + first.position_embeddings(torch.arange(12)) + first.token_type_embeddings(types))
        alone = input_statistics(model, [batch])["bert.encoder.layer.0.attention.self.key.weight"]
        self.assertTrue(torch.allclose(alone.mean, x.flatten(0, 1).mean(0), atol=1e-5))
        self.assertTrue(torch.allclose(alone.square, x.flatten(0, 1).square().mean(0), atol=1e-4))
        self.assertEqual(found["bert.encoder.layer.1.output.dense.weight"].mean.shape, (64,))


class WhileTraining(unittest.TestCase):
    settings = {
        "fixed": {}, "sr-ste": {"every": 1}, "mask-decay": {"every": 1}, "structure-decay": {"every": 1}, "cast": {"every": 2},
        "soft-shrinkage": {}, "learned-masks": {}, "low-rank-importance": {"every": 1},
    }  # fmt: skip

    def test_every_method_ends_with_exact_patterns_and_learns(self):
        self.assertEqual(set(self.settings), set(METHODS))
        for name, kind in METHODS.items():
            for pattern in ("4:16", "4x1 75%"):
                with self.subTest(method=name, pattern=pattern):
                    method, optimizer, model, seen = run(kind, self.settings[name], steps=60, pattern=pattern)
                    for averaged in (False, True):
                        state = method.finished(optimizer.weights(averaged))
                        for matrix, m in method.matrices.items():
                            self.assertTrue(holds(state[matrix], m.pattern))
                            self.assertGreater((state[matrix] != 0).float().mean().item(), 0.9 * m.pattern.density)
                    state = method.finished(optimizer.weights(averaged=False))
                    for matrix, m in method.matrices.items():
                        self.assertTrue(torch.allclose(m.working, state[matrix], atol=1e-6), "what was trained is what is saved")
                    self.assertLess(sum(seen[-6:]), sum(seen[:6]))

    def test_unknown_settings_are_rejected(self):
        with self.assertRaises(ValueError):
            run(StraightThrough, {"lambda": 1}, steps=1)

    def one(self, kind: type[Method], settings: dict, progress: float, pattern: str = "4:16"):
        """Method, its only matrix, and the gradient by the working weight before and after the change."""
        torch.manual_seed(1)
        master = torch.randn(8, 32)
        master.grad = torch.randn(8, 32)
        raw = master.grad.clone()
        m = Matrix(parse(pattern), torch.empty(8, 32), master, mask_of(magnitude(master), parse(pattern)))
        method = kind({"w": m}, settings)
        method.change_gradients(progress)
        return method, m, raw

    def test_sr_ste_adds_a_pull_on_dropped_weights(self):
        _, m, raw = self.one(StraightThrough, {"pull": 0.01}, 0.2)
        self.assertTrue(torch.allclose(m.master.grad, raw + 0.01 * (~m.mask) * m.master))
        _, m, raw = self.one(StraightThrough, {"pull": 0.01}, 0.9)
        self.assertTrue(torch.equal(m.master.grad, raw * m.mask))

    def test_frames_go_through_the_densities_in_turn(self):
        method, m, _ = self.one(StraightThrough, {"frames": [[0.2, 0.75], [0.4, 0.5]], "every": 1, "freeze_at": 0.6}, 0.0)
        seen = []
        for progress in (0.1, 0.3, 0.5, 0.7):
            method.change_weights(0.0, progress)
            seen.append(m.mask.float().mean().item())
        self.assertEqual(seen, [0.75, 0.5, 0.25, 0.25])

    def test_a_frozen_mask_does_not_change(self):
        method, m, _ = self.one(StraightThrough, {"every": 1, "freeze_at": 0.5}, 0.0)
        method.change_weights(0.0, 0.6)
        before = m.mask.clone()
        m.master.normal_()
        method.change_weights(0.0, 0.7)
        self.assertTrue(torch.equal(m.mask, before))

    def test_mask_decay_lets_values_and_gradients_fade_alike(self):
        for settings, part in (({"decay_until": 0.5}, 0.6), ({"decay": "exponential", "rate": 5.0, "decay_until": 0.9}, 0.3678794)):
            method, m, raw = self.one(MaskDecay, settings, 0.2)
            wanted = torch.where(m.mask, 1.0, part)
            self.assertTrue(torch.allclose(m.master.grad, raw * wanted))
            self.assertTrue(torch.allclose(method.effective(m, 0.2), m.master * wanted))
        self.assertEqual(method.part(0.95), 0.0)

    def test_structure_decay_is_nested_if_weights_stand_still(self):
        method, m, _ = self.one(StructureDecay, {"every": 1}, 0.0)
        method.change_weights(0.0, 0.1)
        wide = m.mask.clone()
        self.assertAlmostEqual(wide.float().mean().item(), 15 / 16)
        method.change_weights(0.0, 0.6)
        self.assertTrue((wide | ~m.mask).all())

    def test_cast_shrinks_only_dropped_weights_and_never_past_zero(self):
        method, m, raw = self.one(Cast, {"strength": 2.0, "grow_until": 0.5, "freeze_at": 0.9, "scale_lr": 0.0}, 0.25)
        self.assertTrue(torch.allclose(m.own["factor"].grad, (raw * m.master).sum(1, keepdim=True)))
        before = m.master.clone()
        method.shrink(m, 0.05)
        self.assertTrue(torch.equal(m.master[m.mask], before[m.mask]))
        self.assertTrue(torch.allclose(m.master[~m.mask].abs(), (before[~m.mask].abs() - 0.05).clamp(min=0)))
        self.assertTrue(torch.equal(method.effective(m, 0.3), m.master * m.own["factor"]))

    def test_cast_decays_more_where_adam_steps_more(self):
        method, m, _ = self.one(Cast, {}, 0.2)
        moment = torch.ones(8, 32)
        moment[:, :16] = 0.01
        method.second_moment = lambda master: moment
        m.mask = torch.zeros_like(m.mask)
        m.master.fill_(1.0)
        method.shrink(m, 0.01)
        self.assertLess(m.master[:, :16].max(), m.master[:, 16:].min())

    def test_soft_shrinkage_takes_a_part_of_what_is_dropped(self):
        method, m, raw = self.one(SoftShrinkage, {"shrink": 0.1, "freeze_at": 0.5, "every": 9}, 0.25)
        self.assertTrue(torch.equal(m.master.grad, raw))
        before = m.master.clone()
        method.change_weights(0.0, 0.25)
        self.assertTrue(torch.allclose(m.master, torch.where(m.mask, before, before * 0.95)))
        self.assertTrue(torch.equal(m.working, m.master))

    def test_learned_masks_leave_weights_alone_and_follow_the_gradient(self):
        method, m, raw = self.one(LearnedMasks, {"mask_lr": 0.3, "first_logit": 0.0, "every": 1}, 0.1)
        before = m.master.clone()
        # The loss falls where this half is kept: its gradient by the mask, g * w, is negative.
        wanted = torch.arange(32).expand(8, 32) % 16 < 4
        for step in range(40):
            m.master.grad = torch.where(wanted, -1.0, 1.0) / m.master
            method.change_gradients(step / 80)
            self.assertTrue((m.master.grad == 0).all())
            method.change_weights(0.1, step / 80)
            self.assertTrue(holds(m.mask.float(), m.pattern))
            self.assertEqual(m.mask.float().mean().item(), 0.25)
        method.settle()
        self.assertTrue(torch.equal(m.mask, wanted))
        self.assertTrue(torch.equal(m.master, before))

    def test_draws_without_replacement_follow_the_logits(self):
        method, m, _ = self.one(LearnedMasks, {"first_logit": 0.0, "hot": 1.0, "cold": 1.0}, 0.0)
        m.own["logits"] = torch.zeros(16, 16)
        m.own["logits"][:, 0] = 3.0
        counts = torch.zeros(16)
        for _ in range(60):
            method.choose_masks(0.0)
            counts += m.mask.view(-1, 16).float().sum(0)
        counts /= 60 * 16
        self.assertAlmostEqual(counts.sum().item(), 4.0, places=4)
        self.assertGreater(counts[0], 0.9)
        self.assertTrue(((counts[1:] - 0.2).abs() < 0.06).all())

    def test_low_rank_importance_matches_automatic_gradients(self):
        method, m, raw = self.one(LowRankImportance, {"rank": 3}, 0.0)
        for value in m.own.values():
            value.normal_(0, 0.1)
        leaves = {name: value.clone().requires_grad_() for name, value in m.own.items()}
        updated = m.master + leaves["U"] @ leaves["V"]
        # Straight through: the derivative of the mask by the score is 1.
        score = updated.detach() + leaves["A"] @ leaves["B"] + leaves["R"] + leaves["C"]
        effective = updated * m.mask + updated.detach() * (score - score.detach())
        (effective * raw).sum().backward()
        m.master.grad = raw.clone()
        method.change_gradients(0.0)
        for name, leaf in leaves.items():
            self.assertTrue(torch.allclose(m.own[name].grad, leaf.grad, atol=1e-4), name)
        self.assertTrue((m.master.grad == 0).all())


class PartsOfLoss(unittest.TestCase):
    def test_square_head_is_relative_to_each_layer(self):
        t = [torch.randn(5, 8), torch.randn(5, 8) * 100]
        self.assertAlmostEqual(square_head(t, t).item(), 0.0)
        self.assertAlmostEqual(square_head([x * 1.1 for x in t], t).item(), 2 * 0.01, places=5)
        with self.assertRaises(ValueError):
            square_head(t[:1], t)

    def test_layer_outputs_leave_padding_out(self):
        model = tiny()
        ids, mask, types = inputs()
        mask = mask.clone()
        mask[:, 9:] = False
        outputs = LayerOutputs(model)
        model(ids, mask, types)
        states = outputs.take(mask)
        self.assertEqual([tuple(s.shape) for s in states], [(54, 32)] * 2)
        self.assertEqual(outputs.states, [])
        outputs.close()
        model(ids, mask, types)
        self.assertEqual(outputs.states, [])

    def test_early_learning_remembers_what_was_believed(self):
        early = EarlyLearning(1 << 12, 0.7, "cpu")
        queries, docs = torch.tensor([3, 9]), torch.tensor([[1, 2, 3], [4, 5, 6]])
        logits = torch.tensor([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
        p = logits.softmax(1)
        self.assertAlmostEqual(early(queries, docs, logits).item(), torch.log(1 - (p * p).sum(1)).mean().item(), places=5)
        later = torch.zeros(2, 3, requires_grad=True)
        early(queries, docs, later).backward()
        self.assertTrue(torch.allclose(early.logits[early.slots(queries, docs)], 0.7 * logits, atol=1e-6))
        # A step along -gradient moves back to the first belief.
        self.assertEqual((-later.grad).argmax(1).tolist(), [0, 1])

    def test_noise_changes_only_what_it_is_added_to(self):
        model, batch = tiny(), inputs()
        clean = model(*batch)
        torch.manual_seed(0)
        with noisy_layers(model, [1], 0.5):
            noisy = model(*batch)
        self.assertFalse(torch.allclose(clean, noisy))
        self.assertTrue(torch.equal(model(*batch), clean))
        with noisy_layers(model, [0, 1], 0.0):
            self.assertTrue(torch.allclose(model(*batch), clean))
        self.assertAlmostEqual(consistency(clean.view(2, 3), clean.view(2, 3)).item(), 0.0, places=6)
        self.assertGreater(consistency(clean.view(2, 3), noisy.view(2, 3)).item(), 0.0)

    def test_signal_to_noise_orders_layers(self):
        flat, rough = torch.ones(50, 4) + 0.01 * torch.randn(50, 4), torch.randn(50, 4)
        found = signal_to_noise([flat, rough])
        self.assertGreater(found[0], found[1])


class Soup(unittest.TestCase):
    name = "bert.encoder.layer.0.output.dense.weight"

    def test_keeps_the_mask(self):
        mask = mask_of(torch.rand(32, 64), parse("4:16"))
        states = [{self.name: torch.randn(32, 64) * mask, "classifier.weight": torch.ones(1, 32) * i} for i in range(3)]
        mean = average(states)
        self.assertTrue(torch.equal(mean[self.name] != 0, mask))
        self.assertTrue((mean["classifier.weight"] == 1).all())

    def test_rejects_masks_that_differ(self):
        states = [{self.name: torch.randn(32, 64) * mask_of(torch.rand(32, 64), parse("4:16"))} for _ in range(2)]
        with self.assertRaises(ValueError):
            average(states)


class Search(unittest.TestCase):
    levels = {"dense": 1.0, "8:16": 0.7, "4:16": 0.4, "4x1 75%": 0.3, "4x1 87.5%": 0.2}

    def space(self, budget: float = 0.5, drops: int = 1, seed: int = 0) -> Space:
        table = {shape: {level: ms * size for level, ms in self.levels.items()} for shape, size in (("32x32", 1), ("32x64", 2), ("64x32", 2))}
        costs = Costs.of(table, 0.5, 32, 64)
        space = Space(2, costs, 0.0, drops, random.Random(seed))
        space.budget = budget * costs(space.uniform("dense"))
        return space

    def test_costs_add_up(self):
        space = self.space()
        self.assertAlmostEqual(space.costs(space.uniform("dense")), 2 * (0.5 + 3 + 1 + 2 + 2))
        self.assertAlmostEqual(space.costs(Allocation(space.uniform("4:16").levels, (True, False))), 0.5 + 8 * 0.4)

    def test_no_state_exceeds_the_budget(self):
        for budget in (0.4, 0.5, 0.75):
            space = self.space(budget)
            seen: list[float] = []

            def fitness(a: Allocation, batches: int) -> float:
                seen.append(space.costs(a))
                self.assertLessEqual(sum(a.dropped), 1)
                return random.Random(str(a)).random()

            evo_press(space, fitness, 10, 8, [(4, 1), (1, 4)])
            random_search(space, fitness, 100, 4)
            self.assertLessEqual(max(seen), space.budget + 1e-9)

    def test_finds_what_a_known_distance_prefers_with_as_much_work_as_random_search(self):
        space = self.space(0.6, drops=0)
        # Only the first layer's output matrix matters; all others may be as sparse as they like.
        gene = list(GENES).index("output")
        fitness = lambda a, batches: sum((0.01 if (i, j) != (0, gene) else 1.0) * (1 - self.levels[level]) for i, row in enumerate(a.levels) for j, level in enumerate(row))  # noqa: E731
        best, score, seen = evo_press(space, fitness, 20, 8, [(4, 1), (1, 2)])
        self.assertEqual(best.levels[0][gene], "dense")
        self.assertLess(score, fitness(space.best_uniform(), 1))
        other = random_search(space, fitness, seen, 2)
        self.assertLessEqual(other[2], seen)
        self.assertLessEqual(score, other[1] + 1e-9)

    def test_patterns_leave_out_dropped_layers(self):
        a = Allocation(self.space().uniform("4:16").levels, (False, True))
        self.assertEqual(set(a.patterns()), {f"0.{role}" for roles in GENES.values() for role in roles})

    def test_pruned_parents_have_their_levels_and_distance_0_when_dense(self):
        dense, copy, space = tiny(), tiny(), self.space()
        batches = [inputs(i) for i in range(3)]
        pruned = PrunedParent(copy, list(self.levels), input_statistics(dense, batches), "wanda+dsnot")
        distance = Distance(pruned, dense, batches, 3, 2.0)
        self.assertAlmostEqual(distance(space.uniform("dense"), 3), 0.0, places=6)
        by_level = [distance(space.uniform(level), 3) for level in ("8:16", "4x1 87.5%")]
        self.assertLess(1e-6, min(by_level))
        state = pruned.state(Allocation(space.uniform("4:16").levels, (True, False)))
        self.assertEqual({place(n)[0] for n in state if place(n)}, {0})
        for name, pattern in assign(list(state), {"default": "4:16"}).items():
            self.assertTrue(holds(state[name], pattern))
        self.assertAlmostEqual(distance(space.uniform("dense"), 3), 0.0, places=6)


class Activations(unittest.TestCase):
    def test_highest_units_are_a_share_of_each_token(self):
        x = torch.randn(40, 60)
        out = SparseActivation(0.1)(x)
        self.assertTrue(((out > 0).sum(1) == 6).all())
        self.assertTrue(torch.equal(out.amax(1), x.amax(1)))
        self.assertTrue(torch.equal(SparseActivation()(x), x.relu()))

    def test_thresholds_cut_the_share_and_the_score_decides_what(self):
        rows, weight = torch.randn(500, 32) * (torch.arange(32) + 1), torch.randn(8, 32)
        weight[:, 5] = 40.0
        for kind in ("magnitude", "weighted", "channel"):
            importance, level = thresholds(kind, rows, weight, 0.6)
            kept = rows.abs() * importance >= level
            self.assertAlmostEqual((~kept).float().mean().item(), 0.6, delta=0.01, msg=kind)
            by_input = kept.float().mean(0)
            if kind == "channel":
                self.assertTrue(((by_input - 0.4).abs() < 0.01).all())
            if kind == "weighted":
                self.assertGreater(by_input[5], 0.9)
            if kind == "magnitude":
                self.assertLess(by_input[5], 0.3)
        with self.assertRaises(ValueError):
            thresholds("best", rows, weight, 0.5)

    def test_thresholds_of_a_model_change_little_if_they_cut_little(self):
        batches = [inputs(i) for i in range(3)]
        clean = tiny()(*batches[0])
        errors = []
        for sparsity in (0.02, 0.7):
            model = tiny()
            active = Thresholds(model, batches, "weighted", sparsity, ["intermediate", "output"])
            errors.append((model(*batches[0]) - clean).abs().mean().item())
            for zeros, together in active.measured().values():
                self.assertAlmostEqual(zeros, sparsity, delta=0.05)
                self.assertLessEqual(together, zeros)
        self.assertLess(errors[0], errors[1])

    def test_chunk_loss_is_the_share_of_units_that_a_chunk_uses(self):
        model = tiny()
        make_sparse(model)
        model(*inputs())
        for layer in model.bert.encoder.layer:
            a = torch.zeros(2 * CHUNK, 10)
            a[:CHUNK, 0], a[CHUNK:, :3] = 1e6, 1e6
            layer.activate.last = a
        self.assertAlmostEqual(chunk_loss(model).item(), (1 + 3) / 20, places=3)
        used = units_used(model, [inputs(1)])
        self.assertEqual(len(used), 2)
        self.assertTrue(all(0 < token <= together <= 1 for token, together in used))

    def test_chunk_loss_makes_chunks_use_fewer_units(self):
        model = tiny()
        make_sparse(model)
        before = units_used(model, [inputs()])[0][1]
        optimizer = MasterAdamW(model, {}, 0.0, 0.5)
        for _ in range(40):
            model(*inputs())
            chunk_loss(model).backward()
            optimizer.step(3e-3)
        self.assertLess(units_used(model, [inputs()])[0][1], before)


class Structure(unittest.TestCase):
    def structured(self, **options) -> StructuredCrossEncoder:
        model = StructuredCrossEncoder(TINY, **options)
        model.load_state_dict(tiny().state_dict())
        return model.eval()

    def padded(self) -> tuple:
        ids, mask, types = inputs(2)
        mask = mask.clone()
        mask[1, 9:], mask[3, 7:] = False, False
        return ids, mask, types

    def test_without_options_it_is_the_model_itself(self):
        batch = self.padded()
        self.assertTrue(torch.allclose(self.structured()(*batch), tiny()(*batch), atol=1e-5))

    def states_of(self, model, batch, layer: int) -> torch.Tensor:
        seen = []
        hook = model.bert.encoder.layer[layer].register_forward_hook(lambda _, args, out: seen.append(out))
        model(*batch)
        hook.remove()
        return seen[0].view(*batch[0].shape, -1)

    def test_a_lone_query_does_not_depend_on_the_document_and_the_score_does(self):
        ids, mask, types = inputs(3)
        other = torch.where(types > 0, ids.flip(1), ids)
        model = self.structured(query_alone=True)
        a, b = (self.states_of(model, (x, mask, types), 1) for x in (ids, other))
        self.assertTrue(torch.allclose(a[:, 1:5], b[:, 1:5], atol=1e-5))
        self.assertFalse(torch.allclose(a[:, 0], b[:, 0], atol=1e-3))
        self.assertFalse(torch.allclose(self.states_of(tiny(), (ids, mask, types), 1)[:, 1:5], self.states_of(tiny(), (other, mask, types), 1)[:, 1:5], atol=1e-3))

    def test_document_layers_do_not_depend_on_the_query_nor_on_its_length(self):
        ids, mask, types = inputs(3)
        model = self.structured(document_layers=1)
        shorter = torch.cat([ids[:, :2], ids[:, 4:]], 1), mask[:, 2:], types[:, 2:]
        # Tokens 5.. are the document: from 3 on in the shorter pair.
        a, b = self.states_of(model, (ids, mask, types), 0), self.states_of(model, shorter, 0)
        self.assertTrue(torch.allclose(a[:, 5:], b[:, 3:], atol=1e-5))
        self.assertFalse(torch.allclose(self.states_of(model, (ids, mask, types), 1)[:, 5:], self.states_of(model, shorter, 1)[:, 3:], atol=1e-3))

    def test_pooling_halves_the_document_after_its_layer(self):
        batch = self.padded()
        model = self.structured(pool_after=1)
        seen = []
        hook = model.bert.encoder.layer[1].register_forward_hook(lambda _, args, out: seen.append(len(out)))
        model(*batch)
        hook.remove()
        documents = (batch[1] & (batch[2] > 0)).sum(1)
        self.assertEqual(seen[0], int((5 + (documents + 1) // 2).sum()))
        # Groups of one are no groups.
        self.assertTrue(torch.allclose(self.structured(pool_after=1, pool=1)(*batch), tiny()(*batch), atol=1e-5))

    def test_gradients_reach_all_layers(self):
        for options in ({"query_alone": True}, {"document_layers": 1}, {"pool_after": 1}):
            model = self.structured(**options)
            model(*self.padded()).sum().backward()
            for layer in model.bert.encoder.layer:
                self.assertGreater(layer.output.dense.weight.grad.abs().sum().item(), 0)

    def test_an_early_classifier_follows_the_whole_model(self):
        model = tiny()
        state = early_state(model, [inputs(i, pairs=64) for i in range(4)], 1)
        early = cross_encoder(state, TINY, "cpu", torch.float32)
        self.assertEqual(len(early.bert.encoder.layer), 1)
        batch = inputs(0, pairs=64)
        both = torch.stack([early(*batch), model(*batch)])
        self.assertGreater(torch.corrcoef(both)[0, 1].item(), 0.5)


class Wide(unittest.TestCase):
    def test_copies_share_no_weight_and_have_the_pattern(self):
        weight = torch.randn(24, 64)
        a, b = alternating(weight, 4)
        self.assertFalse((a & b).any())
        self.assertTrue(torch.equal(a | b, mask_of(magnitude(weight), parse("8:16"))))
        self.assertTrue(holds(a.float(), parse("4:16")) and holds(b.float(), parse("4:16")))
        self.assertAlmostEqual((weight * a).square().sum().item(), (weight * b).square().sum().item(), delta=0.3 * (weight * b).square().sum().item())

    def test_a_widened_model_runs_and_has_twice_the_units(self):
        state = widened(tiny().state_dict())
        self.assertEqual(intermediate_size(state), 128)
        model = cross_encoder(state, TINY, "cpu", torch.float32)
        for name, pattern in assign(list(state), {"intermediate": "4:16", "output": "4:16"}).items():
            self.assertTrue(holds(state[name], pattern))
        self.assertTrue(model(*inputs()).isfinite().all())


class Rows(unittest.TestCase):
    def test_layers_are_renumbered(self):
        state = tiny().state_dict()
        less = without_layers(state, [0])
        self.assertEqual(depth(less), 1)
        name = "bert.encoder.layer.{}.output.dense.weight"
        self.assertTrue(torch.equal(less[name.format(0)], state[name.format(1)]))
        self.assertEqual(set(Allocation((("4:16",) * 4, ("8:16",) * 4), (True, False)).patterns().values()), {"8:16"})

    def test_configs_are_merged_key_by_key(self):
        base = {"a": {"b": 1, "c": [1]}, "teacher_weights": {"x": 1.0}}
        self.assertEqual(merged(base, {"a": {"c": [2]}, "teacher_weights": {"y": 1.0}}), {"a": {"b": 1, "c": [2]}, "teacher_weights": {"y": 1.0}})

    def test_every_query_with_a_long_word_gets_a_typo(self):
        rng = random.Random(1)
        queries = ["effect of aspirin on heart rate", "who was the first president", "a b c"]
        wrong = [with_typos(query, rng) for query in queries]
        self.assertNotEqual(wrong[0], queries[0])
        self.assertEqual(wrong[2], queries[2])
        self.assertEqual([len(q.split()) for q in wrong], [len(q.split()) for q in queries])


if __name__ == "__main__":
    unittest.main()

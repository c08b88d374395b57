"""Which pattern each matrix gets under a budget of milliseconds: EvoPress (2410.14649), random search, uniform.

A gene is what the engine multiplies as one product: a layer's query, key and value together, its projection, its intermediate and
its output matrix. Its level is a pattern; a dropped layer costs nothing.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

GENES = {"qkv": ("query", "key", "value"), "projection": ("projection",), "intermediate": ("intermediate",), "output": ("output",)}


@dataclass(frozen=True)
class Allocation:
    levels: tuple[tuple[str, ...], ...]
    """[layers][genes] names of patterns, in the order of GENES."""
    dropped: tuple[bool, ...]

    def patterns(self) -> dict[str, str]:
        """Settings for `patterns.assign`, without the dropped layers: those that stay are numbered from 0."""
        kept = [row for row, gone in zip(self.levels, self.dropped) if not gone]
        return {f"{i}.{role}": level for i, row in enumerate(kept) for roles, level in zip(GENES.values(), row) for role in roles}


@dataclass(frozen=True)
class Costs:
    """Milliseconds for the pairs of the kernel benchmark, by gene and level; `layer`: what the rest of a layer takes."""

    genes: dict[str, dict[str, float]]
    layer: float

    @staticmethod
    def of(table: dict[str, dict[str, float]], layer: float, hidden: int, intermediate: int) -> "Costs":
        """table: "inputs x outputs" -> level -> ms, as in the config."""
        shapes = {
            "qkv": (f"{hidden}x{hidden}", 3), "projection": (f"{hidden}x{hidden}", 1),
            "intermediate": (f"{hidden}x{intermediate}", 1), "output": (f"{intermediate}x{hidden}", 1),
        }  # fmt: skip
        return Costs({gene: {level: ms * times for level, ms in table[shape].items()} for gene, (shape, times) in shapes.items()}, layer)

    def __call__(self, allocation: Allocation) -> float:
        rows = (row for row, gone in zip(allocation.levels, allocation.dropped) if not gone)
        return sum(self.layer + sum(self.genes[gene][level] for gene, level in zip(GENES, row)) for row in rows)

    def ladder(self, gene: str) -> list[str]:
        """Levels from the slowest to the fastest."""
        return sorted(self.genes[gene], key=lambda level: -self.genes[gene][level])


class Space:
    """All allocations of a model within a budget."""

    def __init__(self, layers: int, costs: Costs, budget: float, drops: int, rng: random.Random):
        self.layers, self.costs, self.budget, self.drops, self.rng = layers, costs, budget, drops, rng

    def uniform(self, level: str) -> Allocation:
        return Allocation(((level,) * len(GENES),) * self.layers, (False,) * self.layers)

    def best_uniform(self) -> Allocation:
        """The slowest level that all matrices can have."""
        fitting = [a for a in map(self.uniform, self.costs.ladder("qkv")) if self.costs(a) <= self.budget]
        if not fitting:
            raise ValueError(f"no level fits {self.budget} ms")
        return max(fitting, key=self.costs)

    def shifted(self, a: Allocation, layer: int, gene: int, by: int) -> Allocation:
        """One gene `by` levels faster (or slower, if negative); unchanged at the ends of the ladder."""
        ladder = self.costs.ladder(list(GENES)[gene])
        at = min(max(ladder.index(a.levels[layer][gene]) + by, 0), len(ladder) - 1)
        row = a.levels[layer][:gene] + (ladder[at],) + a.levels[layer][gene + 1 :]
        return Allocation(a.levels[:layer] + (row,) + a.levels[layer + 1 :], a.dropped)

    def anywhere(self) -> tuple[int, int]:
        return self.rng.randrange(self.layers), self.rng.randrange(len(GENES))

    def within(self, a: Allocation, tries: int = 64) -> Allocation | None:
        """Makes random genes faster until the budget holds, then slower while it still holds."""
        for _ in range(tries * 8):
            if self.costs(a) <= self.budget:
                break
            a = self.shifted(a, *self.anywhere(), 1)
        if self.costs(a) > self.budget:
            return None
        for _ in range(tries):
            slower = self.shifted(a, *self.anywhere(), -1)
            if self.costs(slower) <= self.budget:
                a = slower
        return a

    def mutated(self, a: Allocation) -> Allocation:
        """Level switch: a few genes slower, others faster; now and then a layer is dropped or comes back."""
        while True:
            changed = a
            for _ in range(min(self.rng.randint(1, 3), self.rng.randint(1, 3))):
                changed = self.shifted(changed, *self.anywhere(), self.rng.choice((-1, 1)))
            if self.drops and self.rng.random() < 0.1:
                at = self.rng.randrange(self.layers)
                flags = tuple(not gone if i == at else gone for i, gone in enumerate(changed.dropped))
                changed = Allocation(changed.levels, flags) if sum(flags) <= self.drops else changed
            valid = self.within(changed)
            if valid is not None and valid != a:
                return valid

    def random(self) -> Allocation:
        """Levels drawn independently, then moved into the budget."""
        while True:
            drawn = tuple(tuple(self.rng.choice(self.costs.ladder(gene)) for gene in GENES) for _ in range(self.layers))
            gone = self.rng.randint(0, self.drops) if self.rng.random() < 0.3 else 0
            at = self.rng.sample(range(self.layers), gone)
            valid = self.within(Allocation(drawn, tuple(i in at for i in range(self.layers))))
            if valid is not None:
                return valid


Fitness = Callable[[Allocation, int], float]
"""An allocation and how many batches to look at -> its distance from the dense model, the smaller the better."""


def evo_press(space: Space, fitness: Fitness, generations: int, offspring: int, stages: list[tuple[int, int]]) -> tuple[Allocation, float, int]:
    """(1 + lambda) with selection in stages [(survivors, batches), ...] -> the best allocation, its distance, batches looked at.

    Many offspring are compared on few batches, the survivors on more; the parent takes part in the last stage.
    """
    best, seen = space.best_uniform(), 0
    last = stages[-1][1]
    score = fitness(best, last)
    seen += last
    for _ in range(generations):
        pool = [space.mutated(best) for _ in range(offspring)]
        for survivors, batches in stages:
            ranked = sorted(((fitness(a, batches), i) for i, a in enumerate(pool)))
            seen += batches * len(pool)
            pool = [pool[i] for _, i in ranked[:survivors]]
        if ranked[0][0] < score:
            best, score = pool[0], ranked[0][0]
    return best, score, seen


def random_search(space: Space, fitness: Fitness, total: int, batches: int) -> tuple[Allocation, float, int]:
    """The best of independent draws that look at `total` batches together: as much work as a search that looked at as many."""
    draws = [space.random() for _ in range(max(1, total // batches))]
    score, at = min((fitness(a, batches), i) for i, a in enumerate(draws))
    return draws[at], score, len(draws) * batches

"""How many weights each matrix keeps, of a number for all of them."""

from dataclasses import replace

from patterns import Pattern


def erdos_renyi(shapes: dict[str, tuple[int, int]], density: float) -> dict[str, float]:
    """Densities proportional to (inputs + outputs) / (inputs * outputs), at most 1, that together keep `density` of all weights
    (Erdos-Renyi-kernel ratios of random pruning, 1911.11134 section 3). Small matrices keep more."""
    sizes = {name: rows * columns for name, (rows, columns) in shapes.items()}
    raw = {name: (rows + columns) / (rows * columns) for name, (rows, columns) in shapes.items()}
    full: set[str] = set()
    while True:
        rest = density * sum(sizes.values()) - sum(sizes[name] for name in full)
        factor = rest / sum(raw[name] * sizes[name] for name in shapes if name not in full)
        over = {name for name in shapes if name not in full and factor * raw[name] > 1}
        if not over:
            return {name: 1.0 if name in full else factor * raw[name] for name in shapes}
        full |= over


def with_ratios(assigned: dict[str, Pattern], shapes: dict[str, tuple[int, int]]) -> dict[str, Pattern]:
    """The same kinds of pattern with Erdos-Renyi densities, rounded to whole units so that no more weights are kept in all."""
    sizes = {name: shapes[name][0] * shapes[name][1] for name in assigned}
    budget = sum(p.density * sizes[name] for name, p in assigned.items())
    wanted = erdos_renyi({name: shapes[name] for name in assigned}, budget / sum(sizes.values()))
    steps = {name: 1 / pattern.group(shapes[name][1])[0] for name, pattern in assigned.items()}
    floors = {name: max(1, int(wanted[name] / steps[name] + 1e-9)) * steps[name] for name in assigned}
    # The largest remainders are rounded up while the budget lasts.
    spare = budget - sum(floors[name] * sizes[name] for name in assigned)
    for name in sorted(assigned, key=lambda n: floors[n] - wanted[n]):
        if floors[name] < wanted[name] and steps[name] * sizes[name] <= spare + 1e-6:
            floors[name] += steps[name]
            spare -= steps[name] * sizes[name]
    return {name: replace(pattern, name=f"{pattern.name} ERK", density=floors[name]) for name, pattern in assigned.items()}

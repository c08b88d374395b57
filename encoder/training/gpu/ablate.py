"""Many short runs from one warm-up. Each row of the grid differs from the base row in the settings that it names.

    python ablate.py --config CONFIG --grid config/ablations.json --rows main idf-off ... --data DATA --work WORK --prepared PREPARED

Every row has the same number of steps and the same random draws (seed), so that runs may share a GPU. A process loads the
teachers once for all its rows. A row's overrides are settings of `train`, or `seed` and `start` (file names in PREPARED).
"""

import argparse
import copy
import json
import time
from pathlib import Path

from runtime import Log
from train import World, train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("config", "grid", "data", "work", "prepared"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--rows", nargs="+", required=True)
    parser.add_argument("--until", type=float, default=float("inf"), help="start no row after this time (seconds since 1970)")
    args = parser.parse_args()
    config = json.loads(args.config.read_text())
    grid = json.loads(args.grid.read_text())
    args.work.mkdir(parents=True, exist_ok=True)
    log = Log(args.work / f"ablate-{args.rows[0]}.jsonl")
    world = World(config, args.data, args.prepared)
    for row in args.rows:
        if time.time() > args.until:
            log(skipped=row)
            continue
        changed = {**grid["base"], **grid["rows"][row]}
        variant = copy.deepcopy(config)
        variant["seed"] = changed.pop("seed", config["seed"])
        start = args.prepared / changed.pop("start", "warm")
        variant["train"].update(changed, keep=False, eval_seconds=1e9, log_seconds=1e9)
        began = time.time()
        figures = train(world, variant, args.work, start, 1e9, Log(args.work / "rows.jsonl"))
        mean = sum(figures[name]["ndcg10"] for name in config["train"]["watch_sets"]) / len(config["train"]["watch_sets"])
        log(row=row, took=round(time.time() - began, 1), mean=round(mean, 4), **figures)


if __name__ == "__main__":
    main()

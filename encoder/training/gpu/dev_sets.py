"""Development sets, to choose settings on: pairs of the training data that no model was trained on.

    python dev_sets.py --data DATA [--extra EXTRA] --config config/winnow-mini.json --out DEV

They are SQuAD's dev split and, of every source that `source_limits` truncates, the last rows beyond the limit. The one relevant
passage of a query is that of its pair. Each set is a BEIR folder, so that `winnow eval DEV/NAME` runs it. Settings chosen on
them (calibrate.py, train.py) do not depend on the evaluation sets.

A source with few rows has too few passages of its own for a test. `distractors` of the config adds the passages, but not the
queries, of its training rows to such a set.
"""

import argparse
import json
import random
from pathlib import Path

from build_data import read_lines

SEED = 7


def read(path: Path) -> list[tuple[str, str]]:
    """(query, passage) pairs of a training file."""
    return [(row["query"], row["positive"].strip()) for row in map(json.loads, read_lines(path))]


def write(
    folder: Path, pairs: list[tuple[str, str]], queries: int, others: list[tuple[str, str]] = [], shortest: int = 40
) -> tuple[int, int]:
    """Writes a BEIR folder of all passages, including those of `others`, and `queries` random queries -> the number of each."""
    numbers: dict[str, int] = {}
    asked: dict[str, tuple[str, int]] = {}
    for query, passage in pairs:
        if len(passage) < shortest:
            continue
        asked.setdefault(query.lower(), (query, numbers.setdefault(passage, len(numbers))))
    for _, passage in others:
        if len(passage) >= shortest:
            numbers.setdefault(passage, len(numbers))
    kept = random.Random(SEED).sample(sorted(asked.values()), min(queries, len(asked)))
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    line = lambda **values: json.dumps(values) + "\n"  # noqa: E731
    with open(folder / "corpus.jsonl", "w", encoding="utf-8") as file:
        file.writelines(line(_id=f"d{n}", title="", text=passage) for passage, n in numbers.items())
    with open(folder / "queries.jsonl", "w", encoding="utf-8") as file:
        file.writelines(line(_id=f"q{i}", text=query) for i, (query, _) in enumerate(kept))
    with open(folder / "qrels" / "test.tsv", "w", encoding="utf-8") as file:
        file.write("query-id\tcorpus-id\tscore\n")
        file.writelines(f"q{i}\td{n}\t1\n" for i, (_, n) in enumerate(kept))
    return len(numbers), len(kept)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("data", "config", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--extra", type=Path, nargs="*", default=[], help="more folders with train/ (biomedical.py)")
    parser.add_argument("--rows", type=int, default=4000, help="pairs of a cut source, at most")
    parser.add_argument("--queries", type=int, default=800)
    args = parser.parse_args()
    config = json.loads(args.config.read_text())["data"]
    sources = {"squad-dev": (read(args.data / "eval" / "squad-dev.jsonl.xz"), [])}
    for name, limit in config["source_limits"].items():
        for path in (folder / "train" / f"{name}.jsonl.xz" for folder in [args.data, *args.extra]):
            if path.exists():
                rows = read(path)
                trained = rows[:limit] if name in config["distractors"] else []
                sources[name] = (rows[limit:][-args.rows :], trained)
    for name in config["dev_sets"]:
        pairs, others = sources[name]
        documents, queries = write(args.out / name, pairs, args.queries, others)
        print(f"{name}: {documents} documents, {queries} queries")


if __name__ == "__main__":
    main()

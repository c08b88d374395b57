"""nDCG@10 for settings that need no training: the exponent of the weights and the weighting of queries.

    python calibrate.py --model ../../../models/winnow-mini --set squad-dev DEV/squad-dev vectors.jsonl --set ...

vectors.jsonl: see exported.py. A document's weight becomes log(1 + relu(logit))^exponent. A query token weighs

    idf^(1 - blend) * min(idf, here)^blend * occurrences^repeats / (pieces of its word)^split

where here = ln(1 + (N - df + .5) / (df + .5)) and df counts the documents that have the token both in text and vector, as
an index does. query/query-weights.ts has blend .5, repeats .5 and split .25. Choose on the sets of dev_sets.py.
"""

import argparse
import itertools
from pathlib import Path

import numpy as np

from exported import Collection, ReleasedModel, load, ndcg_at_10


def measure(data: Collection, idf: np.ndarray, exponent: float, blend: float, repeats: float, split: float) -> float:
    df = data.text_frequency
    here = np.log1p((data.count - df + 0.5) / (df + 0.5))
    tokens = idf ** (1 - blend) * np.minimum(idf, here) ** blend
    queries = ({term: tokens[term] * count**repeats / pieces**split for term, (count, pieces) in q.items()} for q in data.queries)
    return ndcg_at_10(data, data.activations**exponent, queries)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder of the model that the indexes were built with")
    parser.add_argument("--set", nargs=3, action="append", required=True, metavar=("NAME", "BEIR", "VECTORS"))
    parser.add_argument("--exponents", type=float, nargs="+", default=[1.0])
    parser.add_argument("--blends", type=float, nargs="+", default=[0.0])
    parser.add_argument("--repeats", type=float, nargs="+", default=[0.0])
    parser.add_argument("--splits", type=float, nargs="+", default=[0.0])
    args = parser.parse_args()
    model = ReleasedModel(args.model)
    sets = {name: load(Path(folder), Path(vectors), model) for name, folder, vectors in args.set}
    print("exponent blend repeats split " + " ".join(sets) + " mean")
    for setting in itertools.product(args.exponents, args.blends, args.repeats, args.splits):
        values = [measure(data, model.idf, *setting) for data in sets.values()]
        print(*setting, *(f"{v:.4f}" for v in [*values, np.mean(values)]), flush=True)


if __name__ == "__main__":
    main()

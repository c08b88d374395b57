"""What can be set without training: the exponent of the weights, and how queries are weighted. nDCG@10 of every setting.

    winnow export vectors.jsonl --index INDEX            # one per data set, of a model whose `winnow.exponent` is 1
    python calibrate.py --idf idf.json --tokenizer tokenizer.json --set squad-dev DEV/squad-dev vectors.jsonl --set ...

A document's weight becomes w^exponent. A query token weighs

    idf^(1 - blend) * min(idf, here)^blend * occurrences^repeats / (pieces of its word)^split

where here = ln(1 + (N - df + .5) / (df + .5)) and df counts the documents that have the token both in text and vector, as an index does. query/query-weights.ts has
blend .5, repeats .5 and split .25. The sets of dev_sets.py are there to choose on.
"""

import argparse
import itertools
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from curve import read_vectors

SPECIAL = {0, 100, 101, 102, 103}


@dataclass
class Collection:
    documents: np.ndarray
    """Document, term and weight of each posting, by rising term."""
    weights: np.ndarray
    edges: np.ndarray
    """[V + 1] first posting of each term."""
    numbers: dict[str, int]
    text_frequency: np.ndarray
    """[V] documents that have the term in text and vector."""
    queries: list[dict[int, tuple[int, int]]]
    """By term: occurrences, and tokens of the word it stands in (the fewest)."""
    gains: list[dict[int, int]]
    own: list[int | None]


def query_terms(tokenizer: Tokenizer, text: str) -> dict[int, tuple[int, int]]:
    encoding = tokenizer.encode(text, add_special_tokens=False)
    size = Counter(encoding.word_ids)
    found: dict[int, tuple[int, int]] = {}
    for term, word in zip(encoding.ids, encoding.word_ids):
        if term not in SPECIAL:
            count, pieces = found.get(term, (0, size[word]))
            found[term] = (count + 1, min(pieces, size[word]))
    return found


def load(folder: Path, vectors: Path, tokenizer: Tokenizer) -> Collection:
    vocabulary = tokenizer.get_vocab()
    pieces = lambda text: tokenizer.encode(text, add_special_tokens=False).ids  # noqa: E731
    ids, documents, terms, weights = read_vectors(vectors, vocabulary)
    numbers = {id_: i for i, id_ in enumerate(ids)}
    has = set((documents.astype(np.int64) * len(vocabulary) + terms).tolist())
    text_frequency = np.zeros(len(vocabulary))
    with open(folder / "corpus.jsonl", encoding="utf-8") as file:
        for row in map(json.loads, file):
            number = numbers.get(row["_id"])
            if number is None:
                continue
            text = f"{row.get('title', '')} {row['text']}"
            for term in set(pieces(text)):
                text_frequency[term] += number * len(vocabulary) + term in has
    gains: dict[str, dict[int, int]] = {}
    for line in (folder / "qrels" / "test.tsv").read_text().splitlines()[1:]:
        query, doc, grade = line.split("\t")
        if doc in numbers and int(grade) > 0:
            gains.setdefault(query, {})[numbers[doc]] = int(grade)
    with open(folder / "queries.jsonl", encoding="utf-8") as file:
        asked = [row for row in map(json.loads, file) if row["_id"] in gains]
    order = np.argsort(terms, kind="stable")
    return Collection(
        documents[order],
        weights[order],
        np.searchsorted(terms[order], np.arange(len(vocabulary) + 1)),
        numbers,
        text_frequency,
        [query_terms(tokenizer, row["text"]) for row in asked],
        [gains[row["_id"]] for row in asked],
        [numbers.get(row["_id"]) for row in asked],
    )


def ndcg(data: Collection, idf: np.ndarray, exponent: float, blend: float, repeats: float, split: float) -> float:
    discount = 1 / np.log2(np.arange(2, 12))
    df = data.text_frequency
    here = np.log1p((len(data.numbers) - df + 0.5) / (df + 0.5))
    token_weights = idf ** (1 - blend) * np.minimum(idf, here) ** blend
    weights = data.weights**exponent
    total = 0.0
    for terms, gains, own in zip(data.queries, data.gains, data.own):
        scores = np.zeros(len(data.numbers))
        for term, (count, pieces) in terms.items():
            rows = slice(data.edges[term], data.edges[term + 1])
            scores[data.documents[rows]] += token_weights[term] * count**repeats / pieces**split * weights[rows]
        if own is not None:
            scores[own] = -1
        best = np.argsort(-scores, kind="stable")[:10]
        ideal = np.sort(list(gains.values()))[::-1][:10]
        got = sum(gains.get(int(d), 0) * c for d, c in zip(best, discount))
        total += got / (ideal * discount[: len(ideal)]).sum()
    return total / len(data.queries)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--idf", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--set", nargs=3, action="append", required=True, metavar=("NAME", "BEIR", "VECTORS"))
    parser.add_argument("--exponents", type=float, nargs="+", default=[1.0])
    parser.add_argument("--blends", type=float, nargs="+", default=[0.0])
    parser.add_argument("--repeats", type=float, nargs="+", default=[0.0])
    parser.add_argument("--splits", type=float, nargs="+", default=[0.0])
    args = parser.parse_args()
    tokenizer = Tokenizer.from_file(str(args.tokenizer))
    tokenizer.no_truncation()
    vocabulary = tokenizer.get_vocab()
    idf = np.ones(len(vocabulary))
    for token, weight in json.loads(args.idf.read_text()).items():
        if token in vocabulary:
            idf[vocabulary[token]] = weight
    sets = {name: load(Path(folder), Path(vectors), tokenizer) for name, folder, vectors in args.set}
    print("exponent blend repeats split " + " ".join(sets) + " mean")
    for setting in itertools.product(args.exponents, args.blends, args.repeats, args.splits):
        values = [ndcg(data, idf, *setting) for data in sets.values()]
        print(*setting, *(f"{v:.4f}" for v in [*values, np.mean(values)]), flush=True)


if __name__ == "__main__":
    main()

"""Documents of an index as `winnow export` wrote them, with the queries and judgements of their data set.

    winnow export vectors.jsonl --index INDEX            # one per data set; `winnow eval --cache` keeps the indexes

Settings that need no GPU are measured on these: a threshold (curve.py), an exponent and query weights (calibrate.py).
"""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from build_data import idf_array, read_eval_set


class ReleasedModel:
    """A model folder's vocabulary, idf, and the scale of the weights that an index of it stores."""

    def __init__(self, folder: Path):
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        self.vocabulary: dict[str, int] = self.tokenizer.get_vocab()
        self.idf = idf_array(self.vocabulary, json.loads((folder / "idf.json").read_text())).astype(float)
        settings = json.loads((folder / "config.json").read_text()).get("winnow", {})
        self.exponent, self.largest = settings.get("exponent", 1), settings.get("maxWeight", 3)

    def activation(self, impacts: Iterable[int]) -> np.ndarray:
        """Weights before the exponent, log(1 + relu(logit)), of stored impacts."""
        return (np.fromiter(impacts, float) * self.largest / 255) ** (1 / self.exponent)


@dataclass
class Collection:
    """Postings by ascending term: those of term t are edges[t] : edges[t + 1]."""

    documents: np.ndarray
    terms: np.ndarray
    activations: np.ndarray
    edges: np.ndarray
    count: int
    """Documents."""
    text_frequency: np.ndarray
    """[V] documents that have the term in text and vector."""
    queries: list[dict[int, tuple[int, int]]]
    """By term with an idf: its occurrences, and the tokens of the shortest word that contains it."""
    gains: list[dict[int, int]]
    own: list[int | None]
    """The document that has the query's id."""


def query_terms(model: ReleasedModel, text: str) -> dict[int, tuple[int, int]]:
    encoding = model.tokenizer.encode(text, add_special_tokens=False)
    size = Counter(encoding.word_ids)
    found: dict[int, tuple[int, int]] = {}
    for term, word in zip(encoding.ids, encoding.word_ids):
        if model.idf[term] > 0:
            count, pieces = found.get(term, (0, size[word]))
            found[term] = (count + 1, min(pieces, size[word]))
    return found


def load(folder: Path, vectors: Path, model: ReleasedModel) -> Collection:
    """folder: the BEIR folder of the vectors' documents."""
    size = len(model.vocabulary)
    numbers: dict[str, int] = {}
    documents, terms, activations = [], [], []
    with open(vectors, encoding="utf-8") as file:
        for row in map(json.loads, file):
            vector = row["vector"]
            documents.append(np.full(len(vector), len(numbers)))
            terms.append(np.array([model.vocabulary[t] for t in vector], dtype=int))
            activations.append(model.activation(vector.values()))
            numbers[row["id"]] = len(numbers)
    data = read_eval_set(folder)
    text_frequency = np.zeros(size, dtype=int)
    for row in data["corpus"]:
        if row["_id"] in numbers:
            text = f"{row.get('title') or ''} {row['text']}"
            pieces = np.unique(model.tokenizer.encode(text, add_special_tokens=False).ids)
            text_frequency[np.intersect1d(pieces, terms[numbers[row["_id"]]]).astype(int)] += 1
    # trec_eval leaves out queries without a relevant document.
    relevant = lambda q: {numbers[d]: g for d, g in data["qrels"][q["_id"]].items() if d in numbers and g > 0}  # noqa: E731
    asked = [(q, gains) for q in data["queries"] if (gains := relevant(q))]
    flat = np.concatenate(terms)
    order = np.argsort(flat, kind="stable")
    return Collection(
        np.concatenate(documents)[order],
        flat[order],
        np.concatenate(activations)[order],
        np.searchsorted(flat[order], np.arange(size + 1)),
        len(numbers),
        text_frequency,
        [query_terms(model, q["text"]) for q, _ in asked],
        [gains for _, gains in asked],
        [numbers.get(q["_id"]) for q, _ in asked],
    )


def ndcg_at_10(data: Collection, weights: np.ndarray, queries: Iterable[dict[int, float]]) -> float:
    """Mean nDCG@10 with `weights` in place of the activations. Queries are weights by term, in the collection's order."""
    discount = 1 / np.log2(np.arange(2, 12))
    total = 0.0
    for query, gains, own in zip(queries, data.gains, data.own):
        scores = np.zeros(data.count)
        for term, weight in query.items():
            rows = slice(data.edges[term], data.edges[term + 1])
            scores[data.documents[rows]] += weight * weights[rows]
        if own is not None:
            scores[own] = -1
        best = np.argsort(-scores, kind="stable")[:10]
        got = np.array([gains.get(int(d), 0) for d in best])
        ideal = np.sort(list(gains.values()))[::-1][:10]
        total += got @ discount[: len(got)] / (ideal @ discount[: len(ideal)])
    return total / len(data.queries)

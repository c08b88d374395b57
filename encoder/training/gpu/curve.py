"""nDCG@10 against FLOPS of one model, by raising the threshold of its logits; and the plot of docs/training.md.

    winnow export vectors.jsonl --index INDEX            # one per data set; `winnow eval --cache` leaves the indexes
    python curve.py --idf idf.json --set scifact BEIR/scifact vectors.jsonl --set ... --out curve.json
    python curve.py --plot curves.json --out curve.svg   # {"name": {"points": [[flops, ndcg], ...], "line": true}, ...}

Training a model for every size costs GPU time; lowering the decoder bias of a trained one by d costs nothing: a weight
w = log(1 + x) becomes log(1 + relu(x - d)). What is lost against training at that size shows where both were done.
"""

import argparse
import json
from pathlib import Path

import numpy as np

FULL_WEIGHT = 3.0  # what impact 255 stands for: `winnow.maxWeight` of the model's config.json


def read_vectors(path: Path, term_number: dict[str, int]):
    """-> document ids, and one (document, term, weight) triple a posting."""
    ids, documents, terms, weights = [], [], [], []
    with open(path, encoding="utf-8") as file:
        for i, row in enumerate(map(json.loads, file)):
            ids.append(row["id"])
            vector = row["vector"]
            documents.append(np.full(len(vector), i))
            terms.append([term_number[t] for t in vector])
            weights.append([w * FULL_WEIGHT / 255 for w in vector.values()])
    return ids, np.concatenate(documents), np.concatenate(terms).astype(int), np.concatenate(weights)


def measure(folder: Path, vectors: Path, idf: dict[str, float], tokenizer, shifts: list[float]) -> list[dict]:
    vocabulary = tokenizer.get_vocab()
    ids, documents, terms, weights = read_vectors(vectors, vocabulary)
    number = {id_: i for i, id_ in enumerate(ids)}
    grades: dict[str, dict[int, int]] = {}
    for line in (folder / "qrels" / "test.tsv").read_text().splitlines()[1:]:
        query, doc, grade = line.split("\t")
        if doc in number and int(grade) > 0:
            grades.setdefault(query, {})[number[doc]] = int(grade)
    with open(folder / "queries.jsonl", encoding="utf-8") as file:
        queries = [q for q in map(json.loads, file) if q["_id"] in grades]
    pieces = [sorted({t for t in tokenizer.encode(q["text"], add_special_tokens=False).ids if t not in (0, 100, 101, 102, 103)}) for q in queries]
    names = {i: t for t, i in vocabulary.items()}
    order = np.argsort(terms, kind="stable")
    edges = np.searchsorted(terms[order], np.arange(len(vocabulary) + 1))
    in_query = np.bincount(np.concatenate(pieces), minlength=len(vocabulary)) / len(queries)
    discount = 1 / np.log2(np.arange(2, 12))
    out = []
    for shift in shifts:
        kept = np.log1p(np.maximum(np.expm1(weights) - shift, 0))
        total = 0.0
        for query, tokens in zip(queries, pieces):
            scores = np.zeros(len(ids))
            for token in tokens:
                rows = order[edges[token] : edges[token + 1]]
                np.add.at(scores, documents[rows], idf.get(names[token], 1.0) * kept[rows])
            if query["_id"] in number:
                scores[number[query["_id"]]] = -1
            best = np.argsort(-scores, kind="stable")[:10]
            gain = [grades[query["_id"]].get(int(d), 0) for d in best]
            ideal = sorted(grades[query["_id"]].values(), reverse=True)[:10]
            total += np.dot(gain, discount) / np.dot(ideal, discount[: len(ideal)])
        on = np.bincount(terms[kept > 0], minlength=len(vocabulary)) / len(ids)
        out.append({"shift": shift, "ndcg10": round(total / len(queries), 4), "terms": round(float((kept > 0).sum() / len(ids)), 1),
                    "flops": round(float(in_query @ on), 3)})  # fmt: skip
    return out


def svg(curves: dict, width: int = 690, height: int = 360) -> str:
    """A plain scatter and line plot; styles inline, no script, readable on light and dark pages."""
    points = [p for curve in curves.values() for p in curve["points"]]
    low = [np.floor(min(p[0] for p in points) * 2) / 2, np.floor(min(p[1] for p in points) * 100) / 100]
    high = [np.ceil(max(p[0] for p in points) * 2) / 2, np.ceil(max(p[1] for p in points) * 100) / 100]
    left, top, right, bottom = 56, 16, 230, 44
    x = lambda v: left + (v - low[0]) / (high[0] - low[0]) * (width - left - right)  # noqa: E731
    y = lambda v: height - bottom - (v - low[1]) / (high[1] - low[1]) * (height - top - bottom)  # noqa: E731
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
             "<title>nDCG@10 against FLOPS</title>",
             f'<rect width="{width}" height="{height}" fill="#fff"/>']  # fmt: skip
    for value in np.arange(low[1], high[1] + 1e-9, 0.01):
        parts.append(f'<path d="M{left} {y(value):.1f}H{width - right}" stroke="#ddd"/><text x="{left - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.2f}</text>'.replace(">0.", ">."))
    for value in np.arange(low[0], high[0] + 1e-9, 0.5):
        parts.append(f'<text x="{x(value):.1f}" y="{height - bottom + 16}" text-anchor="middle">{value:.1f}</text>')
    middle = (left + width - right) / 2
    parts.append(f'<text x="{middle}" y="{height - 8}" text-anchor="middle">FLOPS (expected shared postings of a query and a document)</text>')
    for (name, curve), colour, line in zip(curves.items(), ("#0b6bcb", "#c4320a", "#3f8f29", "#7a3fb0", "#555"), range(9)):
        if curve.get("line"):
            path = "L".join(f"{x(a):.1f} {y(b):.1f}" for a, b, *_ in sorted(curve["points"]))
            parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        for a, b, *label in curve["points"]:
            parts.append(f'<circle cx="{x(a):.1f}" cy="{y(b):.1f}" r="3.5" fill="{colour}"/>')
            if label:
                parts.append(f'<text x="{x(a) + 6:.1f}" y="{y(b) + 4:.1f}" fill="{colour}" font-size="10">{label[0]}</text>')
        parts.append(f'<circle cx="{width - right + 14}" cy="{top + 12 + 20 * line}" r="4" fill="{colour}"/>'
                     f'<text x="{width - right + 24}" y="{top + 16 + 20 * line}">{name}</text>')  # fmt: skip
    return "\n".join([*parts, "</svg>", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--idf", type=Path)
    parser.add_argument("--tokenizer", type=Path)
    parser.add_argument("--set", nargs=3, action="append", metavar=("NAME", "FOLDER", "VECTORS"), default=[])
    parser.add_argument("--shifts", type=float, nargs="+", default=[0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8])
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    if args.plot:
        args.out.write_text(svg(json.loads(args.plot.read_text())))
        return
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(args.tokenizer))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    idf = json.loads(args.idf.read_text())
    found = {}
    for name, folder, vectors in args.set:
        found[name] = measure(Path(folder), Path(vectors), idf, tokenizer, args.shifts)
        for row in found[name]:
            print(name, row, flush=True)
    args.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()

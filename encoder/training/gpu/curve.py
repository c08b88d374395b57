"""nDCG@10 against FLOPS of one model, by raising the threshold of its logits; and the plot of docs/training.md.

    python curve.py --model ../../../models/winnow-mini --set scifact BEIR/scifact vectors.jsonl --set ... --out curve.json
    python curve.py --plot curves.json --out curve.svg   # {"name": {"points": [[flops, ndcg], ...], "line": true}, ...}

vectors.jsonl: see exported.py. Training a model for every size costs GPU time. Lowering the decoder bias of a trained one
by d costs nothing: a weight w = log(1 + x) becomes log(1 + relu(x - d)), before any exponent. At sizes for which a model was
trained too, the plot shows the loss against training.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from exported import Collection, ReleasedModel, load, ndcg_at_10


def measure(data: Collection, idf: np.ndarray, shifts: list[float]) -> list[dict]:
    queries = [{term: idf[term] for term in q} for q in data.queries]
    in_query = np.bincount([term for q in queries for term in q], minlength=len(idf)) / len(queries)
    out = []
    for shift in shifts:
        kept = np.log1p(np.maximum(np.expm1(data.activations) - shift, 0))
        on = np.bincount(data.terms[kept > 0], minlength=len(idf)) / data.count
        out.append({"shift": shift, "ndcg10": round(ndcg_at_10(data, kept, queries), 4), "terms": round(float((kept > 0).sum() / data.count), 1),
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
    parser.add_argument("--model", type=Path, help="folder of the model that the indexes were built with")
    parser.add_argument("--set", nargs=3, action="append", metavar=("NAME", "FOLDER", "VECTORS"), default=[])
    parser.add_argument("--shifts", type=float, nargs="+", default=[0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8])
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    if args.plot:
        args.out.write_text(svg(json.loads(args.plot.read_text())))
        return
    model = ReleasedModel(args.model)
    found = {}
    for name, folder, vectors in args.set:
        found[name] = measure(load(Path(folder), Path(vectors), model), model.idf, args.shifts)
        for row in found[name]:
            print(name, row, flush=True)
    args.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()

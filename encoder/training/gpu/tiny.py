"""Makes a tiny data set and model (2 layers x 32, a few thousand passages) from DATA, to run every script on a CPU.

    python tiny.py --data DATA --out OUT    # then run warmup, prepare and train with OUT/config.json
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from checkpoint import pack
from model import CrossEncoder, DenseTeacher, TwoOutputEncoder
from teachers import TEACHERS
from tokens import TokenTable


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--docs", type=int, default=3000)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    config = json.loads((Path(__file__).parent / "config" / "winnow-mini.json").read_text())
    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    config["model"].update(small)
    config["cross_encoder"]["model"].update(small)
    config["cross_encoder"].update(buckets=[{"width": 64, "queries": 3, "share": 0.5}, {"width": 96, "queries": 2, "share": 0.5}], seconds=5)
    config["reranker"].update(buckets=config["cross_encoder"]["buckets"], layers=1, seconds=5)
    config["warmup"].update(tokens=128, widths=[32, 64], log_every=5, seconds=5)
    config["warmup"]["calibration"].update(docs=16, width=64)
    config["prepare"].update(spans=2000, clusters=16, student_spans=200)
    config["prepare"]["relevance"]["model"].update(small)
    config["prepare"]["relevance"]["least_logit"] = -10.0
    config["train"].update(target_terms=[200, 240],
        
        buckets=[{"width": 64, "queries": 4, "share": 0.5}, {"width": 128, "queries": 4, "share": 0.5}],
        run=2, window=8, log_seconds=1, eval_seconds=8, watch_sets=["nq-utd"], final_sets=["nq-utd"], size_set="nq-utd", seconds=30,
    )  # fmt: skip
    config["data"].update(eval_sets=["nq-utd"], dev_sets=["nq-utd"])
    (args.out / "config.json").write_text(json.dumps(config))

    docs = TokenTable.load(args.data / "docs.npz")
    queries = TokenTable.load(args.data / "queries.npz")
    pairs = dict(np.load(args.data / "pairs.npz"))
    # Spread over all sources: every k-th passage, and the queries whose positive is among them.
    step = docs.rows // args.docs
    kept = torch.arange(0, docs.rows, step)
    renumber = {int(d): i for i, d in enumerate(kept)}
    renumber[-1] = -1
    bare = iter(range(50))  # Some queries without a passage, too.
    rows = [i for i, d in enumerate(pairs["positive"]) if int(d) in renumber and (d >= 0 or next(bare, None) is not None)]
    cut = lambda t, keep: TokenTable(  # noqa: E731
        torch.cat([t.tokens[t.offsets[i] : t.offsets[i + 1]] for i in keep]),
        torch.cat([torch.zeros(1, dtype=torch.int64), t.lengths()[torch.as_tensor(keep)].cumsum(0)]),
    )
    cut(docs, kept.tolist()).save(args.out / "docs.npz")
    cut(queries, rows).save(args.out / "queries.npz")
    np.savez(
        args.out / "pairs.npz",
        positive=np.array([renumber[int(pairs["positive"][i])] for i in rows], dtype=np.int32),
        query_source=pairs["query_source"][rows],
        doc_source=pairs["doc_source"][kept.numpy()],
    )
    for name in ("vocab.npz", "sources.json", "eval-nq-utd.npz"):
        (args.out / name).write_bytes((args.data / name).read_bytes())
    for kind in TEACHERS.values():
        teacher = DenseTeacher({**config["model"], "num_hidden_layers": kind.layers}, kind.pooling)
        save_file(pack(teacher.state_dict()), str(args.out / kind.file))
    relevance = config["prepare"]["relevance"]
    save_file(pack(CrossEncoder(relevance["model"]).state_dict()), str(args.out / relevance["teacher"]))
    save_file(pack(TwoOutputEncoder({**config["model"], "token_table": 0}).state_dict()), str(args.out / "random.safetensors"))


if __name__ == "__main__":
    main()

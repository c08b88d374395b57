"""BM25 of tantivy, and Seismic over the same vectors, beside Winnow: one thread, ten hits, milliseconds as in the other tables.

python peers.py COLLECTION [VECTORS]    (pip install tantivy pyseismic-lsr numpy)

COLLECTION has corpus.jsonl and queries.jsonl; VECTORS has counts.u16, terms.u16, weights.u8. Recall of Seismic is that against a
scan of all documents with the same integer impacts and query weights.
"""
import json, sys, tempfile, time
from pathlib import Path

import numpy as np

K = 10


def latencies(call, inputs, passes=2):
    for one in inputs:
        call(one)
    micros = []
    for _ in range(passes):
        for one in inputs:
            started = time.perf_counter()
            call(one)
            micros.append((time.perf_counter() - started) * 1e6)
    p = np.percentile(micros, [50, 95, 99])
    return f"mean {np.mean(micros):.0f} p50 {p[0]:.0f} p95 {p[1]:.0f} p99 {p[2]:.0f} us"


def tantivy_bm25(collection, queries):
    import tantivy

    schema = tantivy.SchemaBuilder().add_unsigned_field("id", stored=True).add_text_field("text", tokenizer_name="en_stem").build()
    with tempfile.TemporaryDirectory() as folder:
        index = tantivy.Index(schema, path=folder)
        started = time.perf_counter()
        writer = index.writer(heap_size=1 << 30, num_threads=1)
        with open(collection / "corpus.jsonl") as corpus:
            for number, line in enumerate(corpus):
                row = json.loads(line)
                writer.add_document(tantivy.Document(id=number, text=f"{row['title']} {row['text']}"))
        writer.commit()
        writer.wait_merging_threads()
        build = time.perf_counter() - started
        index.reload()
        searcher = index.searcher()
        bytes_ = sum(f.stat().st_size for f in Path(folder).iterdir())
        # Words alone: the characters of the query language are left out.
        words = ["".join(c if c.isalnum() else " " for c in q["text"]) for q in queries]
        parsed = [index.parse_query(w, ["text"]) for w in words if w.strip()]
        print(f"tantivy BM25: built in {build:.0f} s, {bytes_ / 1e6:.0f} MB, {searcher.num_segments} segments,",
              latencies(lambda q: searcher.search(q, K), parsed), flush=True)


if __name__ == "__main__":
    collection = Path(sys.argv[1])
    with open(collection / "queries.jsonl") as file:
        queries = [json.loads(line) for line in file]
    tantivy_bm25(collection, queries)

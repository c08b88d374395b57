"""BM25 of tantivy, and Seismic over the same vectors, beside Winnow: one thread, ten hits, times as in the other tables.

python peers.py tantivy COLLECTION          (pip install tantivy numpy)
python peers.py seismic VECTORS MODEL SAVED (pip install pyseismic-lsr numpy)

COLLECTION has corpus.jsonl and queries.jsonl; VECTORS has counts.u16, terms.u16, weights.u8 and queries.jsonl with token ids; MODEL is a
model folder, whose idf.json weights the queries; SAVED is where the index of Seismic is kept for the next run. Recall of Seismic is that against a scan of all documents with the same impacts and query
weights; hits with the score of the tenth count as found.
"""
import json, sys, tempfile, time
from pathlib import Path

import numpy as np

K = 10
N_POSTINGS = 2000


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


def read_queries(path):
    with open(path) as file:
        return [json.loads(line) for line in file]


def weighted(queries, model):
    """Term ids, ascending, and idf of each query."""
    names = json.loads((model / "tokenizer.json").read_text())["model"]["vocab"]
    table = json.loads((model / "idf.json").read_text())
    idf = np.ones(len(names), dtype=np.float32)
    for name, number in names.items():
        idf[number] = table.get(name, 1)
    idf[[0, 100, 101, 102, 103]] = 0
    ids = [np.unique(np.array(q["tokens"], dtype=np.int32)) for q in queries]
    return [(i[idf[i] > 0], idf[i[idf[i] > 0]]) for i in ids]


def scorer(counts, terms, impacts, queries):
    """A function from a query to the scores of all documents."""
    wanted = np.zeros(1 << 16, dtype=bool)
    for ids, _ in queries:
        wanted[ids] = True
    kept = np.flatnonzero(wanted[terms])
    documents = np.repeat(np.arange(len(counts), dtype=np.uint32), counts)[kept]
    order = np.argsort(terms[kept], kind="stable")
    documents, values, ids = documents[order], impacts[kept][order].astype(np.float32), terms[kept][order]
    bounds = np.searchsorted(ids, np.arange((1 << 16) + 1))

    def scores(query):
        total = np.zeros(len(counts), dtype=np.float32)
        for term, weight in zip(*query):
            part = slice(bounds[term], bounds[term + 1])
            total[documents[part]] += weight * values[part]
        return total

    return scores


def write_seismic(path, counts, terms, impacts):
    """Seismic's own format: the number of documents, then for each its length, its term ids and its values."""
    with open(path, "wb") as file:
        np.array([len(counts)], dtype=np.uint32).tofile(file)
        at = 0
        for count in counts.tolist():
            np.array([count], dtype=np.uint32).tofile(file)
            terms[at : at + count].astype(np.uint32).tofile(file)
            impacts[at : at + count].astype(np.float32).tofile(file)
            at += count


def seismic_search(vectors, model, saved):
    import seismic

    counts, terms, impacts = (np.fromfile(vectors / name, dtype=kind) for name, kind in
                              (("counts.u16", np.uint16), ("terms.u16", np.uint16), ("weights.u8", np.uint8)))
    queries = weighted(read_queries(vectors / "queries.jsonl"), model)
    scores = scorer(counts, terms, impacts, queries)
    sample = [(query, scores(query)) for query in queries[:200]]
    tenth = [np.partition(exact, -K)[-K] for _, exact in sample]
    if saved.exists():
        index = seismic.SeismicIndexRaw.load(str(saved))
    else:
        with tempfile.TemporaryDirectory(dir=saved.parent) as scratch:
            file = Path(scratch) / "documents.bin"
            write_seismic(file, counts, terms, impacts)
            started = time.perf_counter()
            index = seismic.SeismicIndexRaw.build(str(file), n_postings=N_POSTINGS, centroid_fraction=0.1, summary_energy=0.4)
        print(f"seismic, {N_POSTINGS} postings a list: built in {time.perf_counter() - started:.0f} s", flush=True)
        index.save(str(saved))
    index.print_space_usage_byte()
    for query_cut, heap_factor in ((5, 0.9), (10, 0.9), (10, 0.8), (20, 0.7), (50, 0.5)):
        search = lambda q: index.search(q[0], q[1], K, query_cut, heap_factor, 0, True)
        found = sum(
            sum(exact[document] >= worst * (1 - 1e-5) for _, document in search(query)) / K
            for (query, exact), worst in zip(sample, tenth)
        )
        print(f"  query_cut {query_cut}, heap_factor {heap_factor}: recall {found / len(sample):.3f},",
              latencies(search, queries), flush=True)


if __name__ == "__main__":
    peer, folder = sys.argv[1], Path(sys.argv[2])
    if peer == "tantivy":
        tantivy_bm25(folder, read_queries(folder / "queries.jsonl"))
    else:
        seismic_search(folder, Path(sys.argv[3]), Path(sys.argv[4]))

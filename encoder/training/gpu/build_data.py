"""Turns the raw pair and text files into token tables (documents, queries, evaluation sets). Runs once, on a CPU.

    python build_data.py --data DATA [--extra EXTRA] --eval EVALDIR --dev DEV --config config/winnow-mini.json --out OUT

Three rules are applied here, and no later step repeats them:
  * files named in `exclude_sources` are not read (they hold judgements of an evaluated set);
  * a training query equal to an evaluation or development query is dropped, and so is a passage that begins like an
    evaluated one or shares a run of twelve words with one in more than one place (passages of development sets may be trained
    on as texts: only their queries are kept apart);
  * equal passages are stored once, so an in-batch "negative" is never the positive under another row number.
"""

import argparse
import hashlib
import itertools
import json
import lzma
import multiprocessing
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from tokens import SPECIAL_IDS, TokenTable, from_lists

NON_WORD = re.compile(r"\W+")


def fingerprint(text: str, characters: int = 120) -> bytes:
    """Equal for passages that differ only in case and punctuation: a hash of the first 120 letters and digits."""
    return hashlib.blake2b(NON_WORD.sub("", text.lower())[:characters].encode(), digest_size=8).digest()


def shingles(text: str, step: int = 1, size: int = 12):
    """Hashes of runs of `size` words, one run starting at every `step`-th word."""
    words = NON_WORD.sub(" ", text.lower()).split()
    for i in range(0, len(words) - size + 1, step):
        yield hash(tuple(words[i : i + size]))


@dataclass
class Evaluated:
    """What training must not contain, as hashes."""

    queries: set[bytes] = field(default_factory=set)
    passages: set[bytes] = field(default_factory=set)
    runs: set[int] = field(default_factory=set)

    def add_passage(self, title: str, text: str) -> None:
        whole = f"{title} {text}".strip()
        self.passages.update((fingerprint(whole), fingerprint(text)))
        self.runs.update(shingles(whole))

    def holds(self, passage: str) -> bool:
        """Whether two runs are common, checked at every fourth word. One alone may be a stock phrase of trial reports."""
        return fingerprint(passage) in self.passages or sum(run in self.runs for run in shingles(passage, step=4)) >= 2


def read_lines(path: Path):
    with lzma.open(path, "rt", encoding="utf-8") if path.suffix == ".xz" else open(path, encoding="utf-8") as file:
        for line in file:
            if line.strip():
                yield line


def read_eval_set(folder: Path) -> dict:
    corpus = [json.loads(line) for line in read_lines(folder / "corpus.jsonl")]
    qrels: dict[str, dict[str, int]] = {}
    with open(folder / "qrels" / "test.tsv", encoding="utf-8") as file:
        next(file)
        for line in file:
            query, doc, grade = line.rstrip("\n").split("\t")
            qrels.setdefault(query, {})[doc] = int(grade)
    queries = [q for q in map(json.loads, read_lines(folder / "queries.jsonl")) if q["_id"] in qrels]
    return {"corpus": corpus, "queries": queries, "qrels": qrels}


class Tokens:
    def __init__(self, path: Path, max_tokens: int):
        self.tokenizer = Tokenizer.from_file(str(path))
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        self.max_tokens = max_tokens

    def encode(self, texts: list[str], limit: int | None = None) -> list[list[int]]:
        limit = limit or self.max_tokens
        out: list[list[int]] = []
        for i in range(0, len(texts), 4096):
            batch = self.tokenizer.encode_batch(texts[i : i + 4096], add_special_tokens=False)
            out += [e.ids[:limit] for e in batch]
        return out


def build_eval(root: Path, names: list[str], tokenizer: Tokens, out: Path, evaluated: Evaluated, passages: bool) -> None:
    """Writes OUT/eval-NAME.npz. Adds its queries to `evaluated`, and with `passages` its texts too: they must not be trained on."""
    for name in names:
        data = read_eval_set(root / name)
        texts = [((d.get("title") or "") + " " + d["text"]).strip() for d in data["corpus"]]
        for doc in data["corpus"] if passages else []:
            evaluated.add_passage(doc.get("title") or "", doc["text"])
        evaluated.queries.update(fingerprint(q["text"], 10_000) for q in data["queries"])
        number = {d["_id"]: i for i, d in enumerate(data["corpus"])}
        docs = from_lists(tokenizer.encode(texts, 510))
        queries = from_lists(tokenizer.encode([q["text"] for q in data["queries"]], 510))
        judged = [
            (i, number[doc], grade)
            for i, q in enumerate(data["queries"])
            for doc, grade in data["qrels"][q["_id"]].items()
            if doc in number
        ]
        same = [(i, number[q["_id"]]) for i, q in enumerate(data["queries"]) if q["_id"] in number]
        np.savez_compressed(
            out / f"eval-{name}.npz",
            doc_tokens=docs.tokens.numpy().astype(np.uint16),
            doc_offsets=docs.offsets.numpy(),
            query_tokens=queries.tokens.numpy().astype(np.uint16),
            query_offsets=queries.offsets.numpy(),
            qrels=np.array(judged, dtype=np.int32).reshape(-1, 3),
            same=np.array(same, dtype=np.int32).reshape(-1, 2),
        )
        print(f"{name}: {docs.rows} docs, {queries.rows} queries, {len(judged)} judgements")


@dataclass
class Passage:
    text: str
    key: bytes
    held: bool
    """Whether an evaluated set contains it."""


class Reader:
    """Reads one source in a process of its own, since checking every passage against the evaluated ones takes most of the time."""

    def __init__(self, evaluated: Evaluated, limits: dict[str, int]):
        self.evaluated = evaluated
        self.limits = limits

    def passage(self, text: str) -> Passage:
        return Passage(text[:3200], fingerprint(text, 10_000), self.evaluated.holds(text))

    def __call__(self, path: Path) -> list[tuple[str | None, Passage | None, list[Passage]]]:
        """(query, positive, negatives) per pair; (None, passage, []) per line of text."""
        seen: dict[str, Passage] = {}
        passage = lambda text: seen.get(text) or seen.setdefault(text, self.passage(text))  # noqa: E731
        limit = self.limits.get(source_name(path), 1 << 60)
        rows = itertools.islice(read_lines(path), limit)
        if path.name.endswith(".txt.xz"):
            return [(None, passage(line.strip()), []) for line in rows if len(line) > 80]
        out = []
        for pair in map(json.loads, rows):
            positive = None if pair["positive"] is None else passage(pair["positive"])
            out.append((pair["query"], positive, [passage(text) for text in pair.get("negatives") or []]))
        return out


def adopt(reader: Reader) -> None:
    global adopted
    adopted = reader


def read_source(path: Path):
    return adopted(path)


def source_name(path: Path) -> str:
    return path.name.removesuffix(".jsonl.xz").removesuffix(".txt.xz")


def build_train(folders: list[Path], config: dict, tokenizer: Tokens, evaluated: Evaluated, out: Path) -> None:
    number: dict[bytes, int] = {}
    passages: list[str] = []
    passage_source: list[int] = []
    queries: list[str] = []
    positive: list[int] = []
    query_source: list[int] = []
    sources: list[str] = []
    dropped = {"query": 0, "passage": 0}

    def add_passage(passage: Passage, source: int) -> int:
        if passage.key in number:
            return number[passage.key]
        if passage.held:
            dropped["passage"] += 1
            number[passage.key] = -1
            return -1
        number[passage.key] = len(passages)
        passages.append(passage.text)
        passage_source.append(source)
        return number[passage.key]

    excluded = set(config["exclude_sources"])
    paths = [
        path
        for folder, pattern in (("train", "*.jsonl.xz"), ("text", "*.txt.xz"))
        for path in sorted(p for root in folders for p in (root / folder).glob(pattern))
        if source_name(path) not in excluded
    ]
    # Forked processes share the hashes of the evaluated sets; as arguments of a task they would be copied.
    reader = Reader(evaluated, config.get("source_limits", {}))
    with multiprocessing.get_context("fork").Pool(initializer=adopt, initargs=(reader,)) as pool:
        for source, (path, rows) in enumerate(zip(paths, pool.imap(read_source, paths))):
            sources.append(source_name(path))
            for query, passage, negatives in rows:
                if query is None:
                    add_passage(passage, source)
                    continue
                if fingerprint(query, 10_000) in evaluated.queries:
                    dropped["query"] += 1
                    continue
                # A query of a log has no passage; prepare.py assigns the teachers' best one.
                doc = add_passage(passage, source) if passage is not None else -1
                if doc < 0 and passage is not None:
                    continue
                queries.append(query)
                positive.append(doc)
                query_source.append(source)
                for negative in negatives:
                    add_passage(negative, source)
    docs = from_lists(tokenizer.encode(passages))
    docs.save(out / "docs.npz")
    from_lists(tokenizer.encode(queries, 48)).save(out / "queries.npz")
    np.savez(
        out / "pairs.npz",
        positive=np.array(positive, dtype=np.int32),
        query_source=np.array(query_source, dtype=np.uint8),
        doc_source=np.array(passage_source, dtype=np.uint8),
    )
    (out / "sources.json").write_text(json.dumps(sources))
    counts = {name: [passage_source.count(i), query_source.count(i)] for i, name in enumerate(sources)}
    print(f"passages and queries by source: {counts}")
    print(f"{len(passages)} passages ({int(docs.offsets[-1])} tokens), {len(queries)} queries, dropped {dropped}")


def continuation_flags(tokenizer_path: Path) -> np.ndarray:
    """[V] bool: the WordPieces that continue a word (`##ing`); span queries must not start or end inside a word."""
    vocabulary = json.loads(tokenizer_path.read_text())["model"]["vocab"]
    flags = np.zeros(len(vocabulary), dtype=bool)
    for piece, index in vocabulary.items():
        flags[index] = piece.startswith("##")
    return flags


def idf_array(vocabulary: dict[str, int], table: dict[str, float]) -> np.ndarray:
    """[V] float32, 1.0 where unseen, 0 at special ids (they never contribute to a score)."""
    idf = np.ones(len(vocabulary), dtype=np.float32)
    for piece, value in table.items():
        if piece in vocabulary:
            idf[vocabulary[piece]] = value
    idf[list(SPECIAL_IDS)] = 0
    return idf


def idf_table(data: Path) -> np.ndarray:
    vocabulary = json.loads((data / "seed-model" / "tokenizer.json").read_text())["model"]["vocab"]
    with lzma.open(data / "msmarco-idf.json.xz", "rt") as file:
        return idf_array(vocabulary, json.load(file))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--extra", type=Path, nargs="*", default=[], help="more folders with train/ and text/ (biomedical.py)")
    parser.add_argument("--eval", type=Path, required=True)
    parser.add_argument("--dev", type=Path, required=True, help="output of dev_sets.py")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    config = json.loads(args.config.read_text())["data"]
    args.out.mkdir(parents=True, exist_ok=True)
    tokenizer_path = args.data / "seed-model" / "tokenizer.json"
    np.savez(args.out / "vocab.npz", idf=idf_table(args.data), continues=continuation_flags(tokenizer_path))
    tokenizer = Tokens(tokenizer_path, config["max_tokens"])
    evaluated = Evaluated()
    build_eval(args.eval, config["eval_sets"], tokenizer, args.out, evaluated, passages=True)
    build_eval(args.dev, config["dev_sets"], tokenizer, args.out, evaluated, passages=False)
    build_train([args.data, *args.extra], config, tokenizer, evaluated, args.out)


if __name__ == "__main__":
    main()

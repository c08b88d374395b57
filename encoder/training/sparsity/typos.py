"""Queries with typing errors, to measure how a reranker bears them: DATA/eval-NAME-typos.npz beside build_data.py's files.

    python typos.py --data DATA --queries EVAL --tokenizer tokenizer.json scifact nq-utd     # EVAL/NAME is a BEIR folder
"""

import argparse
import random
import string
from pathlib import Path

import numpy as np

import recipe  # noqa: F401
from build_data import Tokens, read_eval_set
from tokens import from_lists

KINDS = ("swap", "drop", "double", "replace")


def mistyped(word: str, rng: random.Random) -> str:
    """One error inside a word; the first letter stays, as people see that one."""
    at = rng.randrange(1, len(word))
    kind = rng.choice(KINDS)
    if kind == "swap" and at + 1 < len(word):
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if kind == "double":
        return word[:at] + word[at] + word[at:]
    if kind == "replace":
        return word[:at] + rng.choice(string.ascii_lowercase) + word[at + 1 :]
    return word[:at] + word[at + 1 :]


def with_typos(query: str, rng: random.Random, share: float = 0.25) -> str:
    """Every word of at least four letters has an error with probability `share`; at least one word has, if the query has such a word."""
    words = query.split()
    long = [i for i, word in enumerate(words) if len(word) >= 4 and word.isalpha()]
    chosen = {i for i in long if rng.random() < share} or set(rng.sample(long, 1) if long else [])
    return " ".join(mistyped(word, rng) if i in chosen else word for i, word in enumerate(words))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("data", "queries", "tokenizer"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("sets", nargs="+")
    args = parser.parse_args()
    tokenizer = Tokens(args.tokenizer, 510)
    for name in args.sets:
        rng = random.Random(20261127)
        queries = read_eval_set(args.queries / name)["queries"]
        with np.load(args.data / f"eval-{name}.npz") as file:
            values = dict(file)
        table = from_lists(tokenizer.encode([with_typos(query["text"], rng) for query in queries], 510))
        if table.rows != len(values["query_offsets"]) - 1:
            raise ValueError(f"{name}: {table.rows} queries in {args.queries}, {len(values['query_offsets']) - 1} in {args.data}")
        values |= {"query_tokens": table.tokens.numpy().astype(np.uint16), "query_offsets": table.offsets.numpy()}
        np.savez_compressed(args.data / f"eval-{name}-typos.npz", **values)


if __name__ == "__main__":
    main()

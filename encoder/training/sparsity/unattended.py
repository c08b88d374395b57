"""Rows of a comparison on a rented machine: none is done twice, and none costs the others."""

import json
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path

import recipe  # noqa: F401
from runtime import Log


def known_results(path: Path) -> dict[str, dict]:
    """The lines of a results.jsonl by the name of their row; none without the file."""
    lines = map(json.loads, path.read_text().splitlines()) if path.exists() else ()
    return {line["row"]["name"]: line for line in lines if "row" in line}


def run_rows(rows: Iterable[dict], run: Callable[[dict], None], log: Log) -> None:
    for row in rows:
        try:
            run(row)
        except Exception:
            # A row that fails must not cost the rows after it: the machine is lent for minutes.
            log(row=row["name"], failed=traceback.format_exc())

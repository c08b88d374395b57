"""The config of a comparison: the dense recipe's, with what ROWS' "config" says otherwise.

    python derive_config.py ../gpu/config/winnow-mini.json config/lanes.json OUT.json
"""

import json
import sys
from pathlib import Path


def merged(base: dict, changes: dict) -> dict:
    """Dictionaries are merged key by key, except `teacher_weights`, whose keys say which teachers there are; all else is replaced."""
    both = lambda key, value: isinstance(value, dict) and isinstance(base.get(key), dict) and key != "teacher_weights"  # noqa: E731
    return {**base, **{key: merged(base[key], value) if both(key, value) else value for key, value in changes.items()}}


if __name__ == "__main__":
    config, rows, out = map(Path, sys.argv[1:4])
    out.write_text(json.dumps(merged(json.loads(config.read_text()), json.loads(rows.read_text()).get("config", {}))))

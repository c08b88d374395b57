"""Makes the modules of the dense recipe (../gpu) importable: every module here imports this one first."""

import sys
from pathlib import Path

GPU = Path(__file__).resolve().parent.parent / "gpu"
if str(GPU) not in sys.path:
    sys.path.append(str(GPU))

"""What every step needs: the device to run on, and a log that is complete after a kill."""

import json
import time
from pathlib import Path

import torch


def pick_device() -> tuple[torch.device, torch.dtype]:
    """bf16 on a GPU; float32 on a CPU, where the scripts are only tested."""
    if not torch.cuda.is_available():
        return torch.device("cpu"), torch.float32
    torch.backends.cuda.matmul.allow_tf32 = True
    # cuDNN's attention was some 45 ms per step slower here than the other back ends.
    torch.backends.cuda.enable_cudnn_sdp(False)
    return torch.device("cuda"), torch.bfloat16


class Log:
    """One JSON object per line, to a file and to standard output, flushed at once."""

    def __init__(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = open(path, "a", encoding="utf-8")
        self.began = time.time()

    def __call__(self, **values) -> None:
        line = json.dumps({"at": round(time.time() - self.began, 1), **values})
        self.file.write(line + "\n")
        self.file.flush()
        print(line, flush=True)

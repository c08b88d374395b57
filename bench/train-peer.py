"""The PyTorch side of `npm run bench -- train`: forward and backward passes of the recipe's encoder on the CPU.

    python train-peer.py TASK.json   # {recipe, config, sequences, threads, rounds, keep}

Prints {"seconds", "peakMemoryMB"} of the best round as JSON. The weights are random: they do not change how long a pass takes.
"""

import json
import resource
import sys
import time
from pathlib import Path

import torch

task = json.loads(Path(sys.argv[1]).read_text())
sys.path.insert(0, task["recipe"])
from model import SparseEncoder  # noqa: E402

torch.set_num_threads(task["threads"])
torch.manual_seed(1)
model = SparseEncoder(task["config"])
width = max(map(len, task["sequences"]))
ids = torch.tensor([row + [0] * (width - len(row)) for row in task["sequences"]])
mask = ids != 0
best = float("inf")
for _ in range(task["rounds"] + 1):
    start = time.perf_counter()
    states = model.head_states(ids, mask)
    model.term_weights(states, task["keep"]).sum().backward()
    best = min(best, time.perf_counter() - start)
    model.zero_grad()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"seconds": best, "peakMemoryMB": peak, "torch": torch.__version__}))

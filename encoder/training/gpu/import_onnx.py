"""Reads a BERT body, and a masked-LM head if there is one, from an ONNX or safetensors file as int8 rows named as in model.py.

    python import_onnx.py bge-small-en-v1.5.onnx OUT.safetensors

The exporter leaves the projection matrices unnamed and transposed. Their initialisers are in graph order (query, key, value,
attention output, intermediate, output, layer by layer), which the shapes confirm.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from checkpoint import pack, with_prefix

PROJECTIONS = [
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
]


def from_onnx(path: Path) -> dict[str, torch.Tensor]:
    import onnx
    from onnx import numpy_helper

    tensors = {t.name: numpy_helper.to_array(t) for t in onnx.load(str(path)).graph.initializer}
    state = {n: t for n, t in tensors.items() if n.startswith(("embeddings.", "encoder.")) and t.dtype == np.float32}
    unnamed = [t for n, t in tensors.items() if n.startswith("onnx::MatMul")]
    layers = 1 + max(int(n.split(".")[2]) for n in state if n.startswith("encoder.layer."))
    if len(unnamed) != layers * len(PROJECTIONS):
        raise ValueError(f"{path}: {len(unnamed)} unnamed matrices, expected {layers * len(PROJECTIONS)}")
    for i, matrix in enumerate(unnamed):
        name = f"encoder.layer.{i // len(PROJECTIONS)}.{PROJECTIONS[i % len(PROJECTIONS)]}"
        if matrix.shape[1] != state[f"{name}.bias"].shape[0]:
            raise ValueError(f"{path}: matrix {i} of shape {matrix.shape} cannot be {name}.weight")
        state[f"{name}.weight"] = matrix.T
    return {n: torch.from_numpy(np.ascontiguousarray(t)) for n, t in state.items()}


def main() -> None:
    source, out = Path(sys.argv[1]), Path(sys.argv[2])
    state = from_onnx(source) if source.suffix == ".onnx" else load_file(str(source))
    save_file(pack(with_prefix(state)), str(out))
    print(f"{out}: {len(state)} tensors, {out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()

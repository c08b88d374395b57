"""Checkpoints: int8 with a scale per row, in parts small enough to move between machines.

Why int8: the released model has int8 weights, so the figures must be measured on them, and a 22.7M-parameter model
then fits two 16 MB files. Rounding costs nothing measurable (docs/training.md).
"""

import json
import math
import zlib
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

PART_BYTES = 14 << 20


def quantize_rows(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """[R, C] float -> int8 [R, C] and float32 scale [R]; weight ~ int8 * scale, scale = max|row| / 127."""
    scale = (weight.float().abs().amax(1) / 127).clamp(min=1e-12)
    return (weight.float() / scale[:, None]).round().clamp(-127, 127).to(torch.int8), scale


def pack(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """2-D tensors become int8 with a companion `NAME.scale`; all others stay float32."""
    out: dict[str, torch.Tensor] = {}
    for name, value in state.items():
        value = value.detach().cpu()
        if value.dim() == 2:
            out[name], out[f"{name}.scale"] = quantize_rows(value)
        else:
            out[name] = value.float()
    return {name: value.contiguous() for name, value in out.items()}


def unpack(packed: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The inverse of `pack`; also accepts plain float tensors. Returns float32."""
    return {
        name: value.float() * packed[f"{name}.scale"][:, None] if value.dtype == torch.int8 else value.float()
        for name, value in packed.items()
        if not name.endswith(".scale")
    }


def fake_quantized(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights that a user will run: rounded to int8 rows and back, on the same device."""
    out = {}
    for name, value in state.items():
        if value.dim() == 2:
            quantized, scale = quantize_rows(value)
            value = quantized.float() * scale[:, None]
        out[name] = value.float()
    return out


def save(folder: Path, state: dict[str, torch.Tensor], meta: dict) -> None:
    """Writes FOLDER.part0.safetensors ... and FOLDER.json; each part stays below 16 MiB.

    No tensor is split: the largest, the int8 word embeddings, has 11.7 MB.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    parts: list[dict[str, torch.Tensor]] = [{}]
    used = 0
    for name, value in pack(state).items():
        size = value.numel() * value.element_size()
        if used + size > PART_BYTES and parts[-1]:
            parts.append({})
            used = 0
        parts[-1][name] = value
        used += size
    for i, part in enumerate(parts):
        save_file(part, f"{folder}.part{i}.safetensors")
    Path(f"{folder}.json").write_text(json.dumps({**meta, "parts": len(parts)}, indent=1))


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    with safe_open(str(path), "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}


def expanded(stored: np.ndarray, shape: tuple[int, int], unit: int) -> np.ndarray:
    """A matrix that is stored as a bit map of kept units (single inputs, or blocks of 4) and their weights
    (encoder/transformer/sparse-storage.ts) -> int8 [R, C] with its zeros."""
    rows, columns = shape
    width = -(-columns // (8 * unit))
    bits = np.unpackbits(stored[: rows * width].view(np.uint8).reshape(rows, width), axis=1, bitorder="little")
    kept = bits[:, : columns // unit].astype(bool)
    out = np.zeros((rows, columns // unit, unit), np.int8)
    out[kept] = stored[rows * width :].reshape(-1, unit)
    return out.reshape(rows, columns)


def read_winnow(path: Path) -> dict[str, torch.Tensor]:
    """The packed tensors of a model's `weights.winnow` (encoder/transformer/weights-file.ts), so that training can continue from a release."""
    raw = path.read_bytes()
    if raw[:8] != b"WNWMODEL":
        raise ValueError(f"{path}: not a Winnow weights file")
    size = int.from_bytes(raw[12:16], "little")
    entries = json.loads(raw[24 : 24 + size])["tensors"]
    start = -(-(24 + size) // 64) * 64
    out: dict[str, torch.Tensor] = {}
    for name, entry in entries.items():
        shape = entry["shape"]
        kind = np.int8 if entry["dtype"] == "i8" else np.float32
        length = entry.get("bytes", math.prod(shape) * np.dtype(kind).itemsize)
        stored = raw[start + entry["offset"] :][: entry.get("deflated", length)]
        values = np.frombuffer(zlib.decompress(stored, -zlib.MAX_WBITS) if "deflated" in entry else stored, kind)
        if "pattern" in entry:
            values = expanded(values, shape, 4 if entry["pattern"] == "4x1" else 1)
        out[name] = torch.from_numpy(values.reshape(shape).copy())
        if kind is np.int8:
            out[f"{name}.scale"] = torch.from_numpy(np.frombuffer(raw, np.float32, shape[0], start + entry["scales"]).copy())
    return out


def load(folder: Path) -> dict[str, torch.Tensor]:
    """Reads a checkpoint written by `save`, a single FOLDER/model.safetensors or *.safetensors file, or a model folder."""
    folder = Path(folder)
    if (folder / "weights.winnow").exists():
        return unpack(read_winnow(folder / "weights.winnow"))
    if folder.suffix == ".safetensors":
        return unpack(read_tensors(folder))
    if (folder / "model.safetensors").exists():
        return unpack(read_tensors(folder / "model.safetensors"))
    packed: dict[str, torch.Tensor] = {}
    count = json.loads(Path(f"{folder}.json").read_text())["parts"]
    for i in range(count):
        packed.update(read_tensors(Path(f"{folder}.part{i}.safetensors")))
    return unpack(packed)


def join(folder: Path, out: Path) -> None:
    """Parts -> one model.safetensors, still int8 with scales, for `winnow model convert`."""
    packed: dict[str, torch.Tensor] = {}
    for i in range(json.loads(Path(f"{folder}.json").read_text())["parts"]):
        packed.update(read_tensors(Path(f"{folder}.part{i}.safetensors")))
    out.parent.mkdir(parents=True, exist_ok=True)
    save_file(packed, str(out), metadata={"format": "pt"})


def with_prefix(state: dict[str, torch.Tensor], prefix: str = "bert.") -> dict[str, torch.Tensor]:
    """A published body under the names of this project: with the `bert.` prefix, without buffers, pooler and the tied decoder.

    Older files name a LayerNorm's weight gamma and its bias beta.
    """
    out = {}
    for name, value in state.items():
        if "pooler." in name or ".decoder." in name or name.endswith("position_ids"):
            continue
        name = name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
        out[name if name.startswith((prefix, "cls.")) else prefix + name] = value
    return out

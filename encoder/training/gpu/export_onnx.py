"""Writes a checkpoint as ONNX with the inputs and outputs of BertForMaskedLM, so `@huggingface/transformers` loads it too.

    python export_onnx.py --checkpoint FINAL --config CONFIG --tokenizer tokenizer.json --out FOLDER

FOLDER gets config.json, tokenizer.json, tokenizer_config.json and onnx/model.onnx (float32):
input_ids, attention_mask, token_type_ids [B, T] int64 -> logits [B, T, V]. The caller
applies the maximum over tokens and log(1 + relu), as for every masked-LM sparse encoder.
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
from torch import nn

from evaluate import load_model
from model import SparseEncoder


class MaskedLm(nn.Module):
    """The encoder with the published input names. Padding is not rewritten here: callers mask logits themselves."""

    def __init__(self, encoder: SparseEncoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor) -> torch.Tensor:
        bert, head = self.encoder.bert, self.encoder.cls.predictions
        e = bert.embeddings
        width = input_ids.shape[1]
        x = e.word_embeddings(input_ids) + e.position_embeddings.weight[:width] + e.token_type_embeddings(token_type_ids)
        x = e.LayerNorm(x)
        # A finite bias instead of a boolean mask: every ONNX runtime supports it, and no row becomes NaN.
        bias = (1.0 - attention_mask[:, None, None, :].to(x.dtype)) * -1e4
        for layer in bert.encoder.layer:
            x = layer(x, lambda q, k, v: self.attend(q, k, v, bias), bert.heads)
        x = head.transform.LayerNorm(nn.functional.gelu(head.transform.dense(x)))
        return x @ e.word_embeddings.weight.T + head.bias

    @staticmethod
    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))
        scores = q @ k.transpose(2, 3) / q.shape[-1] ** 0.5 + bias
        return (scores.softmax(3) @ v).transpose(1, 2)


def export(model: SparseEncoder, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    example = torch.ones(2, 7, dtype=torch.int64)
    names = ["input_ids", "attention_mask", "token_type_ids"]
    torch.onnx.export(
        MaskedLm(model).eval(),
        (example, example, torch.zeros_like(example)),
        str(path),
        input_names=names,
        output_names=["logits"],
        dynamic_axes={n: {0: "batch", 1: "tokens"} for n in [*names, "logits"]},
        opset_version=17,
        dynamo=False,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("checkpoint", "config", "tokenizer", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    args = parser.parse_args()
    config = json.loads(args.config.read_text())
    config = config.get("model", config)
    export(load_model(args.checkpoint, config, "cpu"), args.out / "onnx" / "model.onnx")
    (args.out / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    shutil.copyfile(args.tokenizer, args.out / "tokenizer.json")
    tokenizer = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": config["max_position_embeddings"]}
    (args.out / "tokenizer_config.json").write_text(json.dumps(tokenizer, indent=1) + "\n")


if __name__ == "__main__":
    main()

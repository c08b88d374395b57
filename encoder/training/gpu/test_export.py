"""The ONNX file computes what the encoder computes, and what Hugging Face's BertForMaskedLM computes.

    python -m unittest test_export      # needs onnx and onnxruntime; transformers for the second test
"""

import tempfile
import unittest
from pathlib import Path

import torch

from export_onnx import MaskedLm, export
from test_losses import TINY, tiny_model

try:
    import onnxruntime
except ImportError:
    onnxruntime = None
try:
    from transformers import BertConfig, BertForMaskedLM
except ImportError:
    BertForMaskedLM = None


def batch():
    ids = torch.randint(104, 200, (3, 11), generator=torch.Generator().manual_seed(4))
    mask = (torch.arange(11)[None, :] < torch.tensor([[11], [6], [2]])).long()
    return ids * mask, mask


class Export(unittest.TestCase):
    @unittest.skipIf(onnxruntime is None, "onnxruntime is not installed")
    def test_onnx_logits_equal_the_encoder(self):
        model = tiny_model().float()
        ids, mask = batch()
        with tempfile.TemporaryDirectory() as folder:
            export(model, Path(folder) / "onnx" / "model.onnx")
            session = onnxruntime.InferenceSession(str(Path(folder) / "onnx" / "model.onnx"))
            feed = {"input_ids": ids.numpy(), "attention_mask": mask.numpy(), "token_type_ids": (ids * 0).numpy()}
            logits = torch.from_numpy(session.run(["logits"], feed)[0])
        pooled = logits.masked_fill(mask[:, :, None] == 0, -torch.inf).amax(1)
        with torch.no_grad():
            expected = model.pooled_logits(model.head_states(ids, mask.bool()))
        on = torch.isfinite(expected)
        torch.testing.assert_close(pooled[on], expected[on], atol=1e-4, rtol=0)

    @unittest.skipIf(BertForMaskedLM is None, "transformers is not installed")
    def test_names_and_arithmetic_are_those_of_bert_for_masked_lm(self):
        model = tiny_model().float()
        reference = BertForMaskedLM(BertConfig(**TINY)).eval()
        state = dict(model.state_dict())
        state["cls.predictions.decoder.weight"] = state["bert.embeddings.word_embeddings.weight"]
        state["cls.predictions.decoder.bias"] = state["cls.predictions.bias"]
        reference.load_state_dict(state, strict=True)
        ids, mask = batch()
        with torch.no_grad():
            ours = MaskedLm(model)(ids, mask, ids * 0)[mask.bool()]
            theirs = reference(ids, attention_mask=mask).logits[mask.bool()]
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)


if __name__ == "__main__":
    unittest.main()

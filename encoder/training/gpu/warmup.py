"""Step 1: masked-LM warm-up, then one affine map that puts the logits where log(1 + relu) expects them.

    python warmup.py --config config/winnow-mini.json --data DATA --models MODELS --work WORK

Starts from a sentence encoder without a masked-LM head; writes WORK/warm (int8 checkpoint).
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import checkpoint
from model import SparseEncoder
from optimizer import MasterAdamW, cosine
from runtime import Log, pick_device
from tokens import CLS, MASK, SEP, VOCAB, TokenTable


def masked_windows(docs: TokenTable, batch: int, width: int, share: float):
    """Random windows of the running text: ids [B, T], masked positions [B, M], their true ids [B, M].

    Of the chosen positions 75 % become [MASK], 10 % a random piece, 15 % stay: no text in use has a [MASK], so the
    head must also predict tokens that are there.
    """
    device = docs.tokens.device
    start = torch.randint(0, docs.tokens.numel() - width, (batch, 1), device=device)
    ids = docs.tokens[start + torch.arange(width, device=device)].long()
    ids[:, 0], ids[:, -1] = CLS, SEP
    chosen = 1 + torch.rand(batch, width - 2, device=device).topk(int(share * width), dim=1).indices
    truth = ids.gather(1, chosen)
    dice = torch.rand(chosen.shape, device=device)
    shown = torch.where(dice < 0.75, MASK, torch.where(dice < 0.85, torch.randint_like(truth, 1000, VOCAB), truth))
    return ids.scatter(1, chosen, shown), chosen, truth


def masked_lm_loss(model: SparseEncoder, docs: TokenTable, batch: int, width: int, share: float) -> torch.Tensor:
    ids, chosen, truth = masked_windows(docs, batch, width, share)
    states = model.head_states(ids, torch.ones_like(ids, dtype=torch.bool))
    picked = states.gather(1, chosen[:, :, None].expand(-1, -1, states.shape[2])).flatten(0, 1)
    decoder, bias = model.decoder(), model.cls.predictions.bias
    logits = F.linear(picked, decoder, F.pad(bias, (0, len(decoder) - len(bias)), value=-1e4))
    return F.cross_entropy(logits.float(), truth.flatten())


@torch.no_grad()
def calibrate(model: SparseEncoder, docs: TokenTable, idf: torch.Tensor, settings: dict) -> dict[str, float]:
    """Shifts the pooled logits so that `terms` terms per document are on, and scales them so that a document's own content words
    (idf > 3) weigh 1 on average. Without it every distillation failed (.50 on SciFact).

    The map is folded into the head: x -> a * (x - t) scales the last LayerNorm and the decoder bias.
    """
    device = docs.tokens.device
    rows = torch.randperm(docs.rows, device=device)
    rows = rows[docs.lengths()[rows] > settings["min_tokens"]][: settings["docs"]]
    width = settings["width"]
    ids, mask = docs.padded(rows, width)
    pooled = model.pooled_logits(model.head_states(ids, mask)).float()
    threshold = pooled.flatten().topk(settings["terms"] * len(rows)).values[-1]
    own = torch.zeros_like(pooled).scatter_(1, ids, 1.0).bool() & (idf > 3)[None, :]
    above = (pooled - threshold).clamp(min=0)[own]
    factors = torch.logspace(-2, 2, 400, device=device)
    means = torch.stack([torch.log1p(a * above).mean() for a in factors])
    factor = factors[(means - 1).abs().argmin()]
    head = model.cls.predictions
    head.transform.LayerNorm.weight.mul_(factor)
    head.transform.LayerNorm.bias.mul_(factor)
    head.bias.sub_(threshold).mul_(factor)
    return {"threshold": threshold.item(), "factor": factor.item()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("config", "data", "models", "work"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--seconds", type=float)
    args = parser.parse_args()
    config = json.loads(args.config.read_text())
    settings = config["warmup"]
    seconds = args.seconds or settings["seconds"]
    device, dtype = pick_device()
    log = Log(args.work / "warmup.jsonl")
    torch.manual_seed(config["seed"])

    docs = TokenTable.load(args.data / "docs.npz").to(device)
    idf = torch.from_numpy(np.load(args.data / "vocab.npz")["idf"]).to(device)
    model = SparseEncoder(config["model"])
    model.start_head()
    model.load_state_dict(checkpoint.load(args.models / settings["start"]), strict=False)
    model.to(device, dtype)
    optimizer = MasterAdamW(model, {"cls.": settings["head_lr_factor"]}, ema=settings["ema"])
    began, step, loss = time.time(), 0, None
    while (elapsed := time.time() - began) < seconds:
        # Widths alternate at equal cost, so that late positions are trained too: documents in use have up to 512 tokens.
        width = settings["widths"][step % len(settings["widths"])]
        loss = masked_lm_loss(model, docs, settings["tokens"] // width, width, settings["share"])
        loss.backward()
        optimizer.step(settings["lr"] * cosine(elapsed / seconds))
        step += 1
        if step % settings["log_every"] == 0:
            log(step=step, seconds=round(elapsed, 1), loss=round(loss.item(), 4))
    model.float().load_state_dict(optimizer.weights(averaged=True), strict=False)
    checkpoint.save(args.work / "warm-raw", model.state_dict(), {"model": config["model"], "steps": step})
    moved = calibrate(model, docs, idf, settings["calibration"])
    log(step=step, loss=round(loss.item(), 4), **moved)
    checkpoint.save(args.work / "warm", model.state_dict(), {"model": config["model"], "steps": step, **moved})


if __name__ == "__main__":
    main()

"""A cross-encoder trained on the same collection, as one more teacher: WORK/cross.

    python cross_encoder.py --config config/winnow-mini.json --data DATA --models MODELS --work WORK

It reads query and document together, so it can use what two separate vectors lose. Per query it trains on P documents (the
positive and hard candidates). Half of the target is the label. The other half are the scores of the other teachers, which are
the only target of spans and prevent over-fitting to the labelled pairs (on labels alone it peaked after 110 s).
"""

import argparse
import json
import time
from pathlib import Path

import torch
import torch.nn.functional as F

import checkpoint
import losses
from batches import Batches
from model import CrossEncoder
from optimizer import MasterAdamW, cosine
from runtime import Log, pick_device
from teachers import cross_scores
from tokens import query_matrix
from train import Distiller, World


def target(own: torch.Tensor, labelled: torch.Tensor, scale: float, label_share: float) -> torch.Tensor:
    """own [Q, P] the teachers' scores 0..1, labelled [Q] bool: document 0 is a labelled positive -> [Q, P] probabilities."""
    opinion = F.softmax(losses.min_max(own) * scale, dim=1)
    label = torch.zeros_like(opinion)
    label[:, 0] = 1
    share = labelled.float()[:, None] * label_share
    return share * label + (1 - share) * opinion


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("config", "data", "models", "work"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--seconds", type=float)
    args = parser.parse_args()
    config = json.loads(args.config.read_text())
    settings = {**config["train"], **config["cross_encoder"]}
    seconds = args.seconds or settings["seconds"]
    device, dtype = pick_device()
    log = Log(args.work / "cross_encoder.jsonl")
    torch.manual_seed(config["seed"])
    world = World({**config, "data": {**config["data"], "eval_sets": []}}, args.data, args.work)
    batches = Batches(world.prepared, world.docs, settings, torch.Generator(device=device).manual_seed(config["seed"] + 3))
    teachers = Distiller(None, world.docs, world.prepared, world.weights, settings)
    model = CrossEncoder(settings["model"])
    model.load_state_dict(checkpoint.load(args.models / settings["start"]), strict=False)
    model.to(device, dtype)
    optimizer = MasterAdamW(model, {"classifier.": 10}, settings["weight_decay"], settings["ema"])
    shares = torch.tensor([b.share for b in batches.buckets])
    real = world.prepared["real"]
    began, step, last = time.time(), 0, 0.0
    while (elapsed := time.time() - began) < seconds:
        bucket = int(torch.multinomial(shares, 1))
        width = batches.buckets[bucket].width
        query_rows, doc_rows = batches.draw(bucket)
        flat = doc_rows.flatten()
        query_ids = world.prepared["queries"].bare(query_rows, settings["query_width"])
        with torch.no_grad():
            scores = teachers.teacher_scores(query_rows, flat, world.docs.padded(flat, width)[0], query_matrix(query_ids, world.weights.idf))
            columns = losses.own_columns(*doc_rows.shape, device)
            labelled = (query_rows < real) & (doc_rows[:, 0] == world.prepared["positive"][query_rows])
            wanted = target(scores.gather(1, columns), labelled, settings["teacher_scale"], settings["label_share"])
        logits = cross_scores(model, query_ids, world.docs, doc_rows, width)
        loss = -(wanted * F.log_softmax(logits, dim=1)).sum(1).mean()
        loss.backward()
        optimizer.step(settings["lr"] * cosine(elapsed / seconds))
        step += 1
        if step % 10 == 0 and elapsed - last > settings["log_seconds"]:
            last = elapsed
            best = (logits.argmax(1) == wanted.argmax(1)).float().mean()
            log(step=step, seconds=round(elapsed, 1), loss=round(loss.item(), 4), agrees=round(best.item(), 3))
    checkpoint.save(args.work / "cross", optimizer.weights(averaged=True), {"model": settings["model"], "steps": step})
    log(step=step)


if __name__ == "__main__":
    main()

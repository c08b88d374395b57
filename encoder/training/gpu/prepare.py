"""Step 2: teacher embeddings, span queries and hard candidates, all on the GPU. Writes WORK/prepared.pt.

    python prepare.py --config config/winnow-mini.json --data DATA --models MODELS --work WORK [--student MODEL]

A student, the model that training starts from, may find candidates of its own (`student_candidates`), replace those of the queries that the
relevance teacher judges (`judge_student`), and be a teacher by its terms and its vectors (`student_teaches`: "student-terms" and "student").
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

import checkpoint
from model import SparseEncoder, TwoOutputEncoder
from runtime import Log, pick_device
from spans import draw_spans
from teachers import (
    TEACHERS, DenseScores, SparseScores, VectorTeacher, embed, load_cross_encoder, load_teacher, mine, mine_sparse, relevance_of_candidates,
    sparse_vectors,
)  # fmt: skip
from tokens import TokenTable


def weights_by_source(source: torch.Tensor, names: list[str], table: dict[str, float]) -> torch.Tensor:
    """[N] source numbers -> [N] sampling weights; sources that the config does not name have weight 1."""
    return torch.tensor([table.get(name, 1.0) for name in names], device=source.device)[source.long()]


def cluster(embeddings: torch.Tensor, count: int, generator: torch.Generator) -> torch.Tensor:
    """[N, H] -> [N] number of the nearest of `count` random members: precise enough to put similar queries into one batch."""
    picks = torch.randint(0, len(embeddings), (count,), generator=generator, device=embeddings.device)
    return torch.cat([(block @ embeddings[picks].T).argmax(1) for block in embeddings.split(1 << 16)])


def judged(
    settings: dict, config: dict, models: Path, queries: TokenTable, docs: TokenTable, query_source: torch.Tensor, names: list[str],
    positive: torch.Tensor, candidates: torch.Tensor, log: Log,
) -> torch.Tensor:  # fmt: skip
    """[R, C] float16: scores by a cross-encoder, trained on real relevance judgements, of the candidates of the R real queries.

    Only queries of the configured sources are scored, since it is trained on questions and not on titles or spans; the others
    are NaN. A labelled passage that is no candidate replaces the last one, so that it is scored too.
    """
    device = query_source.device
    labelled = (positive >= 0).nonzero().squeeze(1)
    absent = labelled[(candidates[labelled] != positive[labelled, None]).all(1)]
    candidates[absent, -1] = positive[absent].to(candidates.dtype)
    out = torch.full((len(query_source), candidates.shape[1]), torch.nan, dtype=torch.float16, device=device)
    model = load_cross_encoder(models / settings["teacher"], settings["model"], device, pick_device()[1])

    def judge(rows: torch.Tensor, columns: slice) -> None:
        for part in rows.split(20_000):
            out[part, columns] = relevance_of_candidates(model, queries, docs, part, candidates[part, columns])

    by_source = [(query_source == names.index(name)).nonzero().squeeze(1)[: settings["at_most"]] for name in settings["sources"] if name in names]
    rows = torch.cat(by_source)
    judge(rows[positive[rows] >= 0], slice(None))
    # Four of five logged queries have no answer here. The nearest few passages suffice to detect most of those.
    bare = rows[positive[rows] < 0]
    look = settings["first_look"]
    judge(bare, slice(look))
    hopeful = bare[out[bare, :look].float().amax(1) >= settings["worth_more"]]
    judge(hopeful, slice(look, None))
    log(judged=len(rows), logged=len(bare), hopeful=len(hopeful))
    return out


def load_student(path: Path, model: dict, two_outputs: bool, device, dtype) -> SparseEncoder:
    student = TwoOutputEncoder({**model, "token_table": 0}) if two_outputs else SparseEncoder(model)
    student.load_state_dict(checkpoint.load(path), strict=False)
    return student.to(device, dtype).eval()


def rows_of(sources: list[str], source: torch.Tensor, names: list[str]) -> torch.Tensor:
    """The queries of these sources."""
    wanted = torch.tensor([names.index(name) for name in sources if name in names], device=source.device)
    return torch.isin(source, wanted).nonzero().squeeze(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("config", "data", "models", "work"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--student", type=Path, help="checkpoint or model folder that also mines hard negatives")
    parser.add_argument("--student-config", type=Path, help="config of the student, when it is not --config's model")
    args = parser.parse_args()
    config = json.loads(args.config.read_text())
    settings = config["prepare"]
    device, dtype = pick_device()
    log = Log(args.work / "prepare.jsonl")
    generator = torch.Generator(device=device).manual_seed(config["seed"])

    docs = TokenTable.load(args.data / "docs.npz").to(device)
    real = TokenTable.load(args.data / "queries.npz").to(device)
    names = json.loads((args.data / "sources.json").read_text())
    with np.load(args.data / "pairs.npz") as file:
        positive, query_source, doc_source = (
            torch.from_numpy(file[k].astype(np.int64)).to(device) for k in ("positive", "query_source", "doc_source")
        )
    continues = torch.from_numpy(np.load(args.data / "vocab.npz")["continues"]).to(device)
    span_weight = weights_by_source(doc_source, names, settings["span_source_weights"])
    spans, span_doc = draw_spans(docs, span_weight, continues, settings["spans"], generator, short_share=settings["short_spans"])
    queries = TokenTable.concat([real, spans])
    log(docs=docs.rows, real=real.rows, spans=spans.rows)

    dense, kept = [], {}
    for name in settings["dense_teachers"]:
        teacher = load_teacher(name, args.models, config["model"], device, dtype)
        kind = TEACHERS[name]
        scores = DenseScores(
            embed(teacher, queries, kind.query_prefix, 64), embed(teacher, docs, kind.passage_prefix, settings["width"])
        )
        dense.append(scores)
        kept[name] = scores
        log(embedded=name)
    rows = torch.arange(queries.rows, device=device)
    student, found_by_student, idf = None, None, torch.from_numpy(np.load(args.data / "vocab.npz")["idf"]).to(device)
    if args.student:
        model = config["model"] if args.student_config is None else json.loads(args.student_config.read_text())["model"]
        student = load_student(args.student, model, settings["student_teaches"], device, dtype)
        found_by_student = sparse_vectors(student, docs, settings["student_terms"])
    if settings["student_teaches"]:
        kept["student"] = DenseScores(
            embed(VectorTeacher(student, True), queries, (), 64), embed(VectorTeacher(student, False), docs, (), settings["width"])
        )
        dense.append(kept["student"])
        SparseScores(found_by_student, None).save(args.work / "sparse-student-terms.pt")
        log(embedded="student")
    candidates = mine(dense, settings["mining_weights"], rows, settings["candidates"])
    log(mined=list(candidates.shape))
    if settings["judge_student"]:
        asked = rows_of(settings["relevance"]["sources"], query_source, names)
        candidates[asked] = mine_sparse(found_by_student, queries.bare(asked, 32), idf, settings["candidates"])
        log(own_candidates=len(asked))
    found = (candidates[: real.rows] == positive[:, None])[positive >= 0].any(1).float().mean().item()
    query_weight = weights_by_source(query_source, names, settings["query_source_weights"])
    relevance = judged(settings["relevance"], config, args.models, queries, docs, query_source, names, positive, candidates, log)
    # A query without a passage gets the most relevant candidate if that answers it. Most queries of a log have no answer in
    # this collection and stay without.
    bare = (positive < 0).nonzero().squeeze(1)
    best = relevance[bare].float().nan_to_num(-torch.inf).max(1)
    positive[bare] = candidates[bare].gather(1, best.indices[:, None]).squeeze(1).long()
    query_weight[bare] *= best.values >= settings["relevance"]["least_logit"]
    log(bare_queries=len(bare), kept=int((best.values >= settings["relevance"]["least_logit"]).sum()))
    own = None
    if student is not None and settings["student_candidates"]:
        mined = rows[: real.rows + settings["student_spans"]]
        own = mine_sparse(found_by_student, queries.bare(mined, 32), idf, settings["student_candidates"])
        log(mined_by_student=list(own.shape), also_teachers=round((own[:, :, None] == candidates[: len(own), None, :]).any(2).float().mean().item(), 3))
    groups = cluster(dense[0].queries, settings["clusters"], generator)
    torch.save(
        {
            "queries": queries,
            "real": real.rows,
            "positive": torch.cat([positive, span_doc]),
            "weight": torch.cat(
                [query_weight, torch.ones(spans.rows, device=device)]
            ),
            "candidates": candidates,
            "student_candidates": own,
            "relevance": relevance,
            "groups": groups,
            "source": torch.cat([query_source, doc_source[span_doc]]),
            "source_names": names,
            "doc_source": doc_source,
            "dense": {name: (s.queries, s.docs) for name, s in kept.items()},
        },
        args.work / "prepared.pt",
    )
    log(positive_among_candidates=round(found, 3))


if __name__ == "__main__":
    main()

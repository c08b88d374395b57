"""Draws training batches: similar queries together, documents of similar length together.

A batch holds Q queries and D = 4 Q documents. Half or more of the queries are spans; the rest are real.
Queries come in runs of neighbours (same cluster of teacher embeddings), so that a query's hard negatives include the
documents of other queries as well as its own candidates.
"""

from dataclasses import dataclass

import torch

from tokens import TokenTable


@dataclass
class Bucket:
    width: int
    queries: int
    share: float
    """How often a batch comes from here."""


class Batches:
    def __init__(self, prepared: dict, docs: TokenTable, settings: dict, generator: torch.Generator):
        self.prepared = prepared
        self.docs = docs
        self.settings = settings
        self.generator = generator
        self.device = docs.tokens.device
        self.buckets = [Bucket(**b) for b in settings["buckets"]]
        lengths = docs.lengths()[prepared["positive"]] + 2
        edges = torch.tensor([b.width for b in self.buckets[:-1]], device=self.device)
        bucket_of = torch.bucketize(lengths, edges)
        is_span = torch.arange(len(lengths), device=self.device) >= prepared["real"]
        prefixes = tuple(settings.get("without_sources", ()))
        dropped = [i for i, name in enumerate(prepared["source_names"]) if prefixes and name.startswith(prefixes)]
        left_out = torch.isin(prepared["source"], torch.tensor(dropped, device=self.device))
        # One list per (bucket, kind), ordered by cluster: neighbours in the list are neighbours in meaning.
        self.lists = {}
        for i in range(len(self.buckets)):
            for span in (False, True):
                # Queries of weight 0 are removed, since a run of neighbours would include them.
                rows = ((bucket_of == i) & (is_span == span) & (prepared["weight"] > 0) & ~left_out).nonzero().squeeze(1)
                rows = rows[prepared["groups"][rows].argsort(stable=True)]
                self.lists[i, span] = (rows, prepared["weight"][rows].double().cumsum(0))

    def uniform(self, *shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=self.generator, device=self.device)

    def pick(self, bucket: int, span: bool, count: int) -> torch.Tensor:
        """[count] query rows: weighted seeds, each followed by others from its stretch of the cluster order."""
        rows, cumulative = self.lists[bucket, span]
        run, window = self.settings["run"], self.settings["window"]
        seeds = torch.searchsorted(cumulative, self.uniform(-(-count // run)).double() * cumulative[-1])
        shift = ((self.uniform(len(seeds), run) - 0.5) * window).long()
        shift[:, 0] = 0
        return rows[(seeds[:, None] + shift).clamp(0, len(rows) - 1).flatten()[:count]]

    def candidates_of(self, query_rows: torch.Tensor) -> torch.Tensor:
        """[Q] -> [Q, C]: the teachers' nearest documents; for a share of the queries, those that a student ranked highest."""
        teachers, student = self.prepared["candidates"], self.prepared.get("student_candidates")
        share = self.settings["student_share"]
        if student is None or share == 0:
            return teachers[query_rows]
        count = student.shape[1]
        use = (self.uniform(len(query_rows)) < share) & (query_rows < len(student))
        own = student[query_rows.clamp(max=len(student) - 1)]
        return torch.where(use[:, None], own, teachers[query_rows][:, :count])

    def relevance_of(self, query_rows: torch.Tensor, doc_rows: torch.Tensor) -> torch.Tensor:
        """[Q], [Q, P] -> [Q, P] float32 logits of the relevance teacher, NaN where it gave none."""
        judged = self.prepared["relevance"]
        real = query_rows.clamp(max=len(judged) - 1)
        same = self.prepared["candidates"][real][:, None, :] == doc_rows[:, :, None]
        logits = judged[real].float().gather(1, same.float().argmax(2))
        known = same.any(2) & (query_rows < len(judged))[:, None]
        return torch.where(known, logits, torch.nan)

    def documents_of(self, query_rows: torch.Tensor, span: bool, count: int) -> torch.Tensor:
        """[Q] -> [Q, count]: first the anchor (positive), then sampled candidates, the nearer the more often.

        A span hides its source document with probability `hide_source`, since matching a text with itself
        teaches only what BM25 knows.
        """
        own = self.prepared["positive"][query_rows]
        candidates = self.candidates_of(query_rows).long()
        keys = self.uniform(*candidates.shape) + torch.linspace(0, self.settings["rank_bias"], candidates.shape[1], device=self.device)
        keys = keys.masked_fill(candidates == own[:, None], 9.0)
        chosen = candidates.gather(1, keys.topk(count, dim=1, largest=False).indices)
        keep_own = self.uniform(len(own)) >= self.settings["hide_source"] if span else torch.ones_like(own, dtype=torch.bool)
        first = torch.where(keep_own, own, chosen[:, -1])
        return torch.cat([first[:, None], chosen[:, :-1]], dim=1)

    def draw(self, bucket: int) -> tuple[torch.Tensor, torch.Tensor]:
        """-> query rows [Q], document rows [Q, docs_per_query]."""
        total = self.buckets[bucket].queries
        spans = round(total * self.settings["span_share"])
        parts = [(self.pick(bucket, span, n), span) for span, n in ((False, total - spans), (True, spans)) if n > 0]
        docs = [self.documents_of(rows, span, self.settings["docs_per_query"]) for rows, span in parts]
        return torch.cat([rows for rows, _ in parts]), torch.cat(docs)

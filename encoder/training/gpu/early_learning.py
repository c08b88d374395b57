"""Early-learning regularisation of a listwise loss, against targets that are wrong (false negatives). Q queries, P documents each."""

import torch


class EarlyLearning:
    """Early-learning regularisation (2007.00151 section 4) of a listwise softmax: lambda * mean log(1 - <memory, p>).

    What the student believed early, averaged, pulls against targets that contradict it later. The memory is a logit per pair of
    query and document, in a table indexed by a hash of both; a query's memory is the softmax over the documents drawn with it.
    """

    def __init__(self, size: int, momentum: float, device):
        self.logits = torch.zeros(size, device=device)
        self.seen = torch.zeros(size, dtype=torch.bool, device=device)
        self.momentum = momentum

    def slots(self, query_rows: torch.Tensor, doc_rows: torch.Tensor) -> torch.Tensor:
        return (query_rows[:, None] * 1_000_003 + doc_rows * 7_919) % len(self.logits)

    def __call__(self, query_rows: torch.Tensor, doc_rows: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """[Q], [Q, P], [Q, P] -> the regulariser, not yet multiplied by lambda (it is negative)."""
        slots, now = self.slots(query_rows, doc_rows), logits.detach()
        remembered = torch.where(self.seen[slots], torch.lerp(now, self.logits[slots], self.momentum), now)
        self.logits[slots], self.seen[slots] = remembered, True
        agreement = (remembered.softmax(1) * logits.softmax(1)).sum(1)
        return torch.log1p(-agreement.clamp(max=1 - 1e-4)).mean()

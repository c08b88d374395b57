"""The training objective as pure functions. D documents, Q queries, V vocabulary, J teachers."""

import itertools
from collections.abc import Iterator

import torch
import torch.nn.functional as F


def log1p(x: torch.Tensor) -> torch.Tensor:
    """w = log(1 + relu(x)): SPLADE's saturation (paper section 1.1)."""
    return torch.log1p(F.relu(x))


def log1p2(x: torch.Tensor) -> torch.Tensor:
    """w = log(1 + log(1 + relu(x))): the l0 activation, flatter, so the penalty counts terms (2504.14839)."""
    return torch.log1p(torch.log1p(F.relu(x)))


ACTIVATIONS = {"log1p": log1p, "log1p2": log1p2}


def flops(weights: torch.Tensor, l0_threshold: int | None = None) -> torch.Tensor:
    """sum over terms of (mean over documents of the weight)^2 (paper Eq 3), on RAW weights [D, V].

    The penalty leaves out the idf on purpose (Eq 6): every term then costs the same, while a rare one gains more in the score.
    With `l0_threshold`, documents that already have at most that many terms are not shrunk further; they still count in the
    mean (l0 mask, 2504.14839).
    """
    if l0_threshold is not None:
        long = (weights.detach() > 0).sum(1, keepdim=True) > l0_threshold
        weights = weights * long
    return weights.mean(0).square().sum()


def kl_to_teacher(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """KL(softmax(teacher) || softmax(student)), [Q, D] logits each, mean over queries (paper Eq 1)."""
    target = F.log_softmax(teacher, dim=1)
    return (target.exp() * (target - F.log_softmax(student, dim=1))).sum(1).mean()


def min_max(scores: torch.Tensor, eps: float = 1e-6) -> torch.Tensor:
    """Each row to 0..1 (paper Eq 8); a row of equal scores becomes 0, not NaN."""
    low = scores.amin(1, keepdim=True)
    return (scores - low) / (scores.amax(1, keepdim=True) - low + eps)


def ensemble(scores: list[torch.Tensor], weights: list[float]) -> torch.Tensor:
    """Weighted mean of the per-query normalised teachers (paper Eq 9 without its S): J x [Q, D] -> [Q, D] in 0..1."""
    total = sum(weights)
    return sum(w / total * min_max(s) for s, w in zip(scores, weights))


def grid(count: int, step: float) -> Iterator[tuple[float, ...]]:
    """All weights of `count` items in multiples of `step` that sum to 1."""
    ticks = round(1 / step)
    for parts in itertools.product(range(ticks + 1), repeat=count):
        if sum(parts) == ticks:
            yield tuple(part / ticks for part in parts)


def standardized(scores: torch.Tensor) -> torch.Tensor:
    """Each row to mean 0 and deviation 1; a row of equal scores becomes 0."""
    return (scores - scores.mean(1, keepdim=True)) / (scores.std(1, keepdim=True) + 1e-6)


def own_columns(queries: int, count: int, device: torch.device) -> torch.Tensor:
    """[Q, P]: the positions of query i's own P documents among the Q * P of a batch: i * P to i * P + P - 1."""
    return torch.arange(queries * count, device=device).view(queries, count)


def blend_own(mixed: torch.Tensor, own: torch.Tensor, weight: float) -> torch.Tensor:
    """Reorders each query's own P documents by a teacher that scored only those (a cross-encoder): mixed [Q, Q * P], own [Q, P] -> [Q, Q * P].

    Its scores are first scaled to the mixture's mean and deviation over the same documents. So it decides which of them is
    better, but not how they compare with the rest of the batch.
    """
    columns = own_columns(*own.shape, own.device)
    here = mixed.gather(1, columns)
    moved = here.mean(1, keepdim=True) + standardized(own) * here.std(1, keepdim=True)
    return mixed.scatter(1, columns, torch.lerp(here, moved, weight).clamp(0, 1))


def blend_relevance(mixed: torch.Tensor, logits: torch.Tensor, weight: float, temperature: float) -> torch.Tensor:
    """Applies a relevance model's judgement to each query's own P documents: mixed [Q, Q * P], logits [Q, P] (NaN = not judged) -> [Q, Q * P].

    Unlike `blend_own` it decides how good a document is, not only which is better: sigmoid(logit / temperature) is 0 for a near
    neighbour that does not answer the query, which the mixture puts close to 1.
    """
    columns = own_columns(*logits.shape, logits.device)
    here = mixed.gather(1, columns)
    judged = torch.lerp(here, torch.sigmoid(logits / temperature), weight)
    return mixed.scatter(1, columns, torch.where(logits.isnan(), here, judged))


def judged_logits(mixed: torch.Tensor, judged: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """The target of a reranker, in the scale of a relevance model: mixed [Q, P] scores of the other teachers, judged [Q, P] logits of
    that model, share [Q] of its opinion -> [Q, P] logits.

    The other teachers' scores get its mean and deviation over the same documents, since their own have no absolute meaning.
    """
    moved = judged.mean(1, keepdim=True) + standardized(mixed) * judged.std(1, keepdim=True)
    return torch.lerp(moved, judged, share[:, None])


def margin_mse(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Mean squared error of the differences between all pairs of a query's documents (MarginMSE, 2010.02666): [Q, P] logits each."""
    error = student - teacher
    return 2 * (error - error.mean(1, keepdim=True)).square().mean()


def vector_error(
    logits: torch.Tensor, weights: torch.Tensor, target: torch.Tensor, importance: torch.Tensor, shares: torch.Tensor | None = None
) -> torch.Tensor:
    """Squared distance of a student's vectors from a sparse teacher's, relative to the teacher's own length; mean over documents, each
    times its `shares` [D] if there are any.

    All [D, K], over the terms that either has on: the student's pooled logits and weights, the teacher's weights (0 = off),
    the importance of the term (idf). Where the teacher is on and the student off, the student's curve continues below zero
    (softsign, slope 1 at 0), so that relu does not hide the error. Where both are off the distance is 0.
    """
    curve = torch.where(logits > 0, weights, torch.where(target > 0, F.softsign(logits), 0.0))
    error = (importance * (curve - target).square()).sum(1)
    relative = error / (importance * target.square()).sum(1).clamp(min=1e-6)
    return (relative if shares is None else relative * shares).mean()


def revive(logits: torch.Tensor, importance: torch.Tensor, confidence: torch.Tensor) -> torch.Tensor:
    """Keeps a query's own terms on in its positive, since relu gives no gradient to a term that is off.

    softplus(-2x)/2 is about -x below zero and vanishes above, so it never increases a term that is on.
    logits [Q, L], importance [Q, L] (idf, 0 at padding), confidence [Q] (the teacher's score of the positive, 0..1).
    """
    per_term = F.softplus(-2 * logits) / 2 * importance
    per_query = per_term.sum(1) / importance.sum(1).clamp(min=1e-6)
    return (per_query * confidence).mean()


def length_free(scores: torch.Tensor, query_mass: torch.Tensor) -> torch.Tensor:
    """sum(idf * w) / sum(idf of the query): [Q, D], [Q] -> [Q, D].

    With the raw sum as a logit, a 20-word query is ten times sharper than a 2-word one, and within 50 steps the loss switches
    most terms off.
    """
    return scores / query_mass.clamp(min=1e-6)[:, None]


def fit_scale(student: torch.Tensor, teacher: torch.Tensor, candidates: torch.Tensor) -> torch.Tensor:
    """The factor c among `candidates` [C] that makes c * student closest to the teacher in KL; a 0-d tensor."""
    losses = torch.stack([kl_to_teacher(student * c, teacher) for c in candidates])
    return candidates[losses.argmin()]

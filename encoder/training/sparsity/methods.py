"""Every method by its name in a config."""

from cast import Cast
from gradient_flow import MaskDecay, StructureDecay
from learned_masks import LearnedMasks, LowRankImportance
from method import Method
from soft_shrinkage import SoftShrinkage
from straight_through import StraightThrough

METHODS: dict[str, type[Method]] = {
    "fixed": Method,
    "sr-ste": StraightThrough,
    "mask-decay": MaskDecay,
    "structure-decay": StructureDecay,
    "cast": Cast,
    "soft-shrinkage": SoftShrinkage,
    "learned-masks": LearnedMasks,
    "low-rank-importance": LowRankImportance,
}

"""The heads a model can have, by the names that ``ModelConfig`` has for them."""

from glinermt.heads.base import Builder, Head
from glinermt.heads.class_ import ClassHead, ClassSimilarity
from glinermt.heads.relation import RelationHead
from glinermt.heads.span import SpanHead
from glinermt.heads.token import TokenHead

__all__ = ["CLASS_HEADS", "HEADS", "RELATION_HEADS", "Head", "SpanHead", "TokenHead"]

HEADS: dict[str, type[Head]] = {"token": TokenHead, "span": SpanHead}
"""Of spans, by ``head``."""
RELATION_HEADS: dict[str, type[Builder]] = {"pairs": RelationHead}
"""By ``relation_head``; true is ``pairs``. Called as ``RelationHead`` is."""
CLASS_HEADS: dict[str, type[Builder]] = {"joint": ClassHead, "apart": ClassSimilarity}
"""By ``class_head``; true is what ``class_reading`` says. Called as ``ClassHead`` is, or where
classes are read apart as ``ClassSimilarity``."""

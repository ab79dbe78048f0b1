"""The heads a model can have, by the name used in ``ModelConfig.head``."""

from glinermt.heads.base import Head
from glinermt.heads.span import SpanHead
from glinermt.heads.token import TokenHead

__all__ = ["HEADS", "Head", "SpanHead", "TokenHead"]

HEADS: dict[str, type[Head]] = {"token": TokenHead, "span": SpanHead}

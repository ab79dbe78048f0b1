"""The heads a model can have, by the name used in ``ModelConfig.head``."""

from glinermt.heads.span import SpanHead
from glinermt.heads.token import TokenHead

__all__ = ["HEADS", "SpanHead", "TokenHead"]

HEADS = {"token": TokenHead, "span": SpanHead}

"""A scripted model that also has a relation head and a class head."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from glinermt.types import Ask, Found, Kind, Query, Relation
from tests.stub import StubExtractor


def _nothing(_: Query) -> Sequence[Relation]:
    return ()


@dataclass
class HeadsModel(StubExtractor):
    """Says what ``script``, ``relations`` and ``classes`` say; keeps how it was asked."""

    relations: Callable[[Query], Sequence[Relation]] = _nothing
    classes: Mapping[str, float] = field(default_factory=dict)
    """Logit of a class; -1 for others."""
    asks: list[Ask] = field(default_factory=list)
    kinds: frozenset[Kind] = frozenset({"spans", "relations", "classes"})

    def read(self, queries: Sequence[Query], ask: Ask) -> list[Found]:
        self.asks.append(ask)
        self.queries.extend(queries)
        return [
            Found(
                tuple(self._spans(query, ask.threshold)),
                tuple(r for r in self.relations(query) if r.score >= _limit(ask, r.label)),
                {c: self.classes.get(c, -1.0) for c in query.classes} if query.text.strip() else {},
            )
            for query in queries
        ]


def _limit(ask: Ask, label: str) -> float:
    limit = ask.relation_threshold
    return limit if isinstance(limit, float | int) else limit[label]

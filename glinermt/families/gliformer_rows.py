"""How GLiFormer asks: groups of classes, labels and relations before the text, in one row.

``[CLS] [SEQ] [SCHEMA] name [CLASS] a [CLASS] b [SEP] [SCHEMA] name [ENTITY] c [RELATION] d [SEP]
[SEP] word word [SEP]``; a group without a name has none in its row.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from glinermt.encoding import QueryEncoder, distinct
from glinermt.families.base import TextRow, text_rows
from glinermt.rows import TokenizedWords
from glinermt.types import Kind, Query
from glinermt.windows import LABEL_SHARE

RELATION_GROUP = "relations"
"""The name of a group with relations, which has to have one, and has this in GLiFormer's own
evaluation."""


@dataclass(frozen=True, slots=True)
class GliformerMarkers:
    """The word that begins a row, and the vocabulary ids of the markers."""

    sequence: str
    separator: int
    entity: int
    relation: int
    class_: int
    entity_group: int
    class_group: int


@dataclass(frozen=True, slots=True)
class GroupedRow:
    """A row, and where in it stands what the heads read."""

    text: TextRow
    classes: list[range]
    """Which of the query's classes each group asks for."""
    read: list[int]
    """Positions of the first token, then, group by group, of the group's and its names' markers;
    groups are those of classes, then that of labels and relations where there are any."""


@dataclass(frozen=True, slots=True)
class _Group:
    """Names that are asked together, as tokens, and what stands before them."""

    marker: int
    name: list[int]
    names: list[tuple[int, list[int]]]
    """Each with the marker before it."""


@dataclass(frozen=True, slots=True)
class _Names:
    """The tokens of all that a query asks for."""

    classes: list[list[int]]
    labels: list[list[int]]
    relations: list[list[int]]


class GroupedRows:
    """Makes the rows of queries.

    Args:
        query_encoder: knows the tokens that a row may have.
        markers: what stands before groups and names.
        kinds: what the model finds; nothing else is asked for.
    """

    def __init__(
        self, query_encoder: QueryEncoder, markers: GliformerMarkers, kinds: frozenset[Kind]
    ) -> None:
        self.query_encoder = query_encoder
        self.markers = markers
        self.kinds = kinds

    def of(self, index: int, query: Query, text: TokenizedWords) -> Iterator[GroupedRow]:
        """Yield the rows of a query, its windows one after another.

        Args:
            index: the query's number.
            query: what is asked.
            text: the words of its text.
        """
        labels = distinct(query.labels) if "spans" in self.kinds else ()
        classes = distinct(query.classes) if "classes" in self.kinds else ()
        relations = distinct(query.relations) if "relations" in self.kinds else ()
        if not labels and not query.entities:
            relations = ()
        if not text.offsets or not (labels or classes or relations):
            return
        names = _Names(*(self.token_ids(each) for each in (classes, labels, relations)))
        named = bool(classes) and not query.class_groups
        (prompt,) = self.query_encoder.tokenize_texts(["" if named else query.prompt])
        asked = query.class_groups or ((query.prompt, len(classes)),)
        sequence, related, *group_names = self.token_ids(
            [self.markers.sequence, RELATION_GROUP, *(name for name, _ in asked)]
        )
        edges = list(accumulate((number for _, number in asked), initial=0))
        for part, own, pairs in self._parts(names, prompt, text):
            groups, ranges = [], []
            for name, (first, last) in zip(group_names, pairwise(edges), strict=True):
                inside = range(max(first, part.start), min(last, part.stop))
                if inside:
                    ranges.append(inside)
                    chosen = [(self.markers.class_, names.classes[i]) for i in inside]
                    groups.append(_Group(self.markers.class_group, name, chosen))
            if own or pairs:
                chosen = [(self.markers.entity, names.labels[i]) for i in own]
                chosen += [(self.markers.relation, names.relations[i]) for i in pairs]
                name = related if pairs else []
                groups.append(_Group(self.markers.entity_group, name, chosen))
            head, read = self._head(sequence, groups)
            for row in text_rows(
                text,
                self.query_encoder.max_tokens,
                suffix=self.query_encoder.suffix,
                asked=(index, own),
                head=head,
                prompt=prompt,
            ):
                yield GroupedRow(replace(row, relations=pairs), ranges, read)

    def token_ids(self, pieces: Sequence[str]) -> list[list[int]]:
        """Return the tokens of pieces, each tokenised alone."""
        words = self.query_encoder.tokenize_words([[piece] for piece in pieces])
        return [list(one.token_ids) for one in words]

    def _parts(
        self, names: _Names, prompt: TokenizedWords, text: TokenizedWords
    ) -> Iterator[tuple[range, range, range]]:
        """Yield which classes, labels and relations are asked together; all, if they leave room."""
        limit = self.query_encoder.max_tokens
        every = (names.classes, names.labels, names.relations)
        classes, labels, relations = (range(len(each)) for each in every)
        size = sum(1 + len(ids) for each in every for ids in each) + len(prompt.token_ids) + 12
        if size + len(text.token_ids) <= limit or size <= limit * LABEL_SHARE:
            yield classes, labels, relations
            return
        share = limit * LABEL_SHARE / size
        each = max(1, int((len(classes) + len(labels)) * share))
        for some in _pieces(classes, each):
            yield some, range(0), range(0)
        for some in _pieces(labels, each) or [labels]:
            for pairs in _pieces(relations, max(1, int(len(relations) * share))) or [relations]:
                if some or pairs:
                    yield range(0), some, pairs

    def _head(self, sequence: list[int], groups: Sequence[_Group]) -> tuple[list[int], list[int]]:
        """Return the row before its words, and the positions whose vectors are wanted."""
        row = [*self.query_encoder.prefix, *sequence]
        read = [0]
        for group in groups:
            read.append(len(row))
            row += [group.marker, *group.name]
            for marker, name in group.names:
                read.append(len(row))
                row += [marker, *name]
            row.append(self.markers.separator)
        return [*row, self.markers.separator], read


def _pieces(whole: range, each: int) -> list[range]:
    return [whole[start : start + each] for start in range(0, len(whole), each)]

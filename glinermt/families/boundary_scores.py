"""From the vectors of one GLiNER2.5 row to what it found, and how its spans are chosen."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from glinermt.decode import Candidates, choose
from glinermt.families.boundary_network import BoundaryNetwork
from glinermt.families.boundary_records import form_records
from glinermt.families.gliner2_rows import CLASS, ENTITY, FIELD, RELATION, Asked, Group
from glinermt.families.gliner2_scores import (
    Edge,
    Formed,
    Limits,
    RowFound,
    RowInstance,
    RowVectors,
    Words,
)
from glinermt.types import Overlap

Choose = Callable[..., Candidates]


class BoundaryScorer:
    """Reads the boundary network: one pool of spans for all names of a row.

    A structure without a mode has one instance, whose fields are found like entities.

    Args:
        network: what is read.
        choose: decides between overlapping spans, as ``decode.choose`` does.
    """

    def __init__(self, network: BoundaryNetwork, choose: Choose) -> None:
        self.network = network
        self.choose = choose
        self.settings = network.settings

    def __call__(self, vectors: RowVectors, asked: Asked, limits: Limits) -> RowFound:
        found = RowFound()
        groups = list(zip(asked.groups, vectors.names, strict=True))
        sought = [names for group, names in groups if group.marker != CLASS]
        if sought:
            queries = torch.cat(sought)
            wanted = self._wanted(vectors, limits)
            spans, logits = self.network.boundary_head(vectors.words, queries, wanted)
            parts = iter(logits.split([len(names) for names in sought]))
        relation = structure = 0
        for group, names in groups:
            if group.marker == CLASS:
                found.classes += self.network.class_logits(names).tolist()
                continue
            part = next(parts)
            if group.marker == RELATION:
                label, limit = asked.relations[relation], float(limits.relations[relation])
                relation += 1
                pairs = self._pairs(spans, part, limits.given, vectors.num_prefix)
                found.edges += self._edges(vectors, names, pairs, label, limit)
                continue
            scores = (part / self.settings.pair_temperature).sigmoid()
            if group.marker == ENTITY:
                scores = scores.masked_fill(
                    self.network.boundary_head.is_silent(names)[:, None], -1
                )
                number = len(limits.labels)
                own = scores[:number]
                found.spans.append(_candidates(spans, own, limits.labels, vectors.num_prefix))
                if len(names) > number:
                    found.attributes = partial(self._logits_at, vectors, names[number:])
            elif group.marker == FIELD:
                choices = self._choices(vectors, names, group)
                if self._forms(limits, structure):
                    formed = self._formed(vectors, names, spans, part, limits, structure)
                    found.instances += [
                        RowInstance(structure, own, choices, one) for own, one in formed
                    ]
                else:
                    own = self._of_text(spans, scores, limits, structure, vectors)
                    found.instances.append(RowInstance(structure, own, choices))
                structure += 1
        return found

    def _wanted(self, vectors: RowVectors, limits: Limits) -> Tensor | None:
        """Return the spans that must be scored: given ends of relations."""
        skip = vectors.num_prefix
        places = [(start + skip, end + skip) for start, end in limits.given or ()]
        return _places(places, vectors.words) if places else None

    def _of_text(
        self, spans: Tensor, scores: Tensor, limits: Limits, structure: int, vectors: RowVectors
    ) -> Candidates:
        """Return the spans of a structure's fields that stand beside those over the prefix.

        The choices before the text take part in what overlaps what, as in the package.
        """
        fields, skip = limits.fields[structure], vectors.num_prefix
        if not skip:
            return _candidates(spans, scores, fields, skip)
        everywhere = _candidates(spans, scores, fields, 0)
        size, overlap = skip + len(vectors.words), limits.overlaps[structure]
        chosen = Candidates.concatenate(
            [everywhere.take(np.zeros(0, dtype=np.int64))]
            + [
                self.choose(everywhere.take(everywhere.label == i), num_words=size, overlap=overlap)
                for i in range(len(fields))
            ]
        )
        own = chosen.take(chosen.start >= skip)
        return Candidates(own.start - skip, own.end - skip, own.label, own.score, own.cut)

    def _logits_at(self, vectors: RowVectors, names: Tensor, places: Sequence[Words]) -> np.ndarray:
        """Return the logits of names at places, in a pool that begins with these."""
        skip, found = vectors.num_prefix, []
        for first in range(0, len(places), self.settings.pool_size):
            some = places[first : first + self.settings.pool_size]
            wanted = _places([(start + skip, end + skip) for start, end in some], vectors.words)
            with torch.inference_mode():
                _, logits = self.network.boundary_head(vectors.words, names, wanted)
            found.append(logits[:, : len(some)] / self.settings.pair_temperature)
        joined: np.ndarray = torch.cat(found, dim=1).float().cpu().numpy()
        return joined

    def _forms(self, limits: Limits, structure: int) -> bool:
        """Say whether the network tells instances of the structure apart."""
        decoder = self.network.record_decoder
        return decoder is not None and limits.structures[structure].mode is not None

    def _formed(
        self,
        vectors: RowVectors,
        names: Tensor,
        spans: Tensor,
        logits: Tensor,
        limits: Limits,
        structure: int,
    ) -> Iterator[tuple[Candidates, Formed]]:
        """Yield the spans of each instance, and where it comes from."""
        asked, decoder = limits.structures[structure], self.network.record_decoder
        assert decoder is not None
        head, temperature = self.network.boundary_head, self.settings.record_temperature
        seen, assigned = decoder(asked, head.span_vectors(vectors.words, spans), logits, names)
        places = [(start, end) for start, end in spans.tolist()]
        records = form_records(
            asked, seen / temperature, assigned / temperature, places, limits.instance
        )
        scores = (logits / self.settings.pair_temperature).sigmoid().tolist()
        skip = vectors.num_prefix
        lower = [{choice.lower() for choice in field.choices} for field in asked.fields]
        for record in records:
            if record.anchor is not None and places[record.anchor][0] < skip:
                continue  # one of the choices before the text, which is no mention
            own = np.zeros((len(asked.fields), skip))
            rows: list[tuple[int, int, int, float]] = []
            for number, picked in record.fields.items():
                field = asked.fields[number]
                required = field.cardinality in ("required_one", "one_or_more") or (
                    asked.mode == "natural" and number == asked.anchor_index
                )
                for i, share in picked:
                    (start, end), alone = places[i], scores[number][i]
                    score = min(share, alone)
                    if field.threshold is not None and score < field.threshold:
                        continue
                    if field.choices and end <= skip:
                        is_choice = vectors.prefix[start].lower() in lower[number]
                        if is_choice and score > own[number].max():  # all stand at one place
                            own[number] = 0
                            own[number, start] = score
                    elif start >= skip and (required or alone >= limits.instance):
                        rows.append((start - skip, end - skip, number, score))
            table = np.array(rows).reshape(-1, 4).T
            whole = table[:3].astype(np.int64)
            uncut = np.zeros(len(rows), dtype=bool)
            values = Candidates(whole[0], whole[1], whole[2], table[3], uncut)
            anchor = None
            if record.anchor is not None:
                first, last = places[record.anchor]
                anchor = first - skip, last - skip
            yield values, Formed(record.score, anchor, own)

    def _choices(self, vectors: RowVectors, names: Tensor, group: Group) -> np.ndarray:
        """Return the score of each choice at its first place in the prefix, ``field word``.

        Each field is asked alone, in a pool that begins with its choices.
        """
        lower = [word.lower() for word in vectors.prefix]
        found = np.zeros((len(names), len(lower)))
        for i, choices in enumerate(group.choices):
            at = list(dict.fromkeys(lower.index(choice.lower()) for choice in choices))
            if at:
                wanted = _places([(place, place + 1) for place in at], vectors.words)
                spans, logits = self.network.boundary_head(vectors.words, names[i : i + 1], wanted)
                scores = (logits[0] / self.settings.pair_temperature).sigmoid().tolist()
                by_place = dict(zip(map(tuple, spans.tolist()), scores, strict=True))
                found[i, at] = [by_place[place, place + 1] for place in at]
        return found

    def _pairs(
        self, spans: Tensor, logits: Tensor, given: Sequence[Words] | None, num_prefix: int
    ) -> tuple[Tensor, Tensor]:
        """Return the spans of heads and tails that are worth a score together."""
        settings = self.settings
        order = torch.tensor(np.lexsort(spans.cpu().numpy().T[::-1]), device=spans.device)
        spans, scores = spans[order], logits[:, order].sigmoid()
        if given is not None:
            allowed = {(start + num_prefix, end + num_prefix) for start, end in given}
            known = [(start, end) in allowed for start, end in spans.tolist()]
            spans, scores = spans[known], scores[:, known]
        ends = []
        counts = (settings.relation_heads_per_type, settings.relation_tails_per_type)
        for score, count in zip(scores, counts, strict=True):
            best = score.argsort(descending=True, stable=True)[:count]
            ends.append(best[score[best] >= settings.relation_argument_proposal_threshold])
        head, tail = torch.cartesian_prod(*ends).reshape(-1, 2).T
        different = (spans[head] != spans[tail]).any(-1)
        head, tail = head[different], tail[different]
        best = (scores[0, head] * scores[1, tail]).argsort(descending=True, stable=True)
        best = best[: settings.relation_pair_cap]
        return spans[head[best]], spans[tail[best]]

    def _edges(
        self,
        vectors: RowVectors,
        names: Tensor,
        pairs: tuple[Tensor, Tensor],
        label: int,
        limit: float,
    ) -> Iterator[Edge]:
        relation = names.flatten() if self.settings.directional_relation_states else names.mean(0)
        scores = self.network.relation_scorer(vectors.words, relation, *pairs).sigmoid()
        columns = (part.tolist() for part in (*pairs, scores))
        for (h0, h1), (t0, t1), score in zip(*columns, strict=True):
            if score >= limit and min(h0, t0) >= vectors.num_prefix:
                skip = vectors.num_prefix
                yield Edge(label, (h0 - skip, h1 - skip), (t0 - skip, t1 - skip), score)


def _candidates(spans: Tensor, scores: Tensor, limits: np.ndarray, num_prefix: int) -> Candidates:
    places, score = spans.cpu().numpy() - num_prefix, scores.float().cpu().numpy()
    label, span = np.nonzero((score >= limits[:, None]) & (places[:, 0] >= 0))
    start, end = places[span].T
    cut = np.zeros(len(start), dtype=bool)
    return Candidates(start, end, label, score[label, span].astype(float), cut)


def _places(places: Sequence[Words], like: Tensor) -> Tensor:
    return torch.tensor(places, dtype=torch.long, device=like.device)


def schedule(candidates: Candidates, *, num_words: int, overlap: Overlap = "flat") -> Candidates:
    """Choose the disjoint spans whose scores have the greatest sum; ``nested`` is greedy.

    Weighted interval scheduling; of equal sums the larger set. The chosen ones are in the order of
    the text.
    """
    if overlap != "flat":
        return choose(candidates, num_words=num_words, overlap=overlap)
    c = candidates.take(np.lexsort((-candidates.score, candidates.start, candidates.end)))
    before = np.searchsorted(c.end, c.start, side="right")
    best = [(0.0, 0)]
    taken = []
    for i, score in enumerate(c.score.tolist()):
        total, count = best[min(int(before[i]), i)]
        option = total + score, count + 1
        taken.append(option > best[-1])
        best.append(max(option, best[-1]))
    chosen, i = [], len(c) - 1
    while i >= 0:
        if taken[i]:
            chosen.append(i)
            i = min(int(before[i]), i) - 1
        else:
            i -= 1
    return c.take(np.array(chosen[::-1], dtype=np.int64))


def longest(candidates: Candidates, *, num_words: int, overlap: Overlap = "flat") -> Candidates:
    """Drop the spans that lie within another one."""
    del num_words, overlap
    c = candidates.take(np.lexsort((candidates.end, candidates.start)))
    order = np.lexsort((-c.end, c.start))
    reach = np.maximum.accumulate(c.end[order])
    inside = np.zeros(len(c), dtype=bool)
    inside[order[1:]] = reach[:-1] >= c.end[order[1:]]
    return c.take(~inside)


def everything(candidates: Candidates, *, num_words: int, overlap: Overlap = "flat") -> Candidates:
    """Keep all spans."""
    del num_words, overlap
    return candidates


def nested(candidates: Candidates, *, num_words: int, overlap: Overlap = "flat") -> Candidates:
    """Choose greedily, spans inside one another allowed."""
    del overlap
    return choose(candidates, num_words=num_words, overlap="nested")


CHOICES: dict[str, Choose] = {
    "flat": schedule,
    "nested": nested,
    "longest": longest,
    "allow": everything,
}
"""How spans of a label are chosen, by the name that ``overlap_policy`` gives."""


def tidy_edges(edges: Sequence[Edge], text: str) -> list[Edge]:
    """Return one edge for what several mentions or partial mentions say; all of one relation.

    Each head (tail) becomes the longest head (tail) that contains it; of edges between equal
    texts the closest stays; an edge falls whose head has fewer of the words of another's with the
    same tail, or the other way round.
    """
    heads = _longest({edge.head for edge in edges})
    tails = _longest({edge.tail for edge in edges})
    exact: dict[tuple[Words, Words], Edge] = {}
    for edge in edges:
        key = heads[edge.head], tails[edge.tail]
        if key not in exact or edge.score > exact[key].score:
            exact[key] = Edge(edge.label, *key, edge.score)
    by_text: dict[tuple[str, str], Edge] = {}
    for edge in exact.values():
        texts = _folded(text, edge.head), _folded(text, edge.tail)
        if texts not in by_text or _rank(edge) < _rank(by_text[texts]):
            by_text[texts] = edge
    words = {texts: tuple(set(text.split()) for text in texts) for texts in by_text}
    kept = [
        edge
        for texts, edge in by_text.items()
        if not any(
            (words[texts][0] < head and words[texts][1] == tail)
            or (words[texts][1] < tail and words[texts][0] == head)
            for head, tail in words.values()
        )
    ]
    return sorted(kept, key=lambda edge: (edge.head[0], edge.tail[0], -edge.score))


def _folded(text: str, where: tuple[int, int]) -> str:
    return " ".join(text[slice(*where)].casefold().split())


def _longest(mentions: set[Words]) -> dict[Words, Words]:
    """Return, for each mention, the longest one that contains it, of equal ones the first."""
    return {
        (start, end): max(
            (other for other in mentions if other[0] <= start and end <= other[1]),
            key=lambda other: (other[1] - other[0], -other[0]),
        )
        for start, end in mentions
    }


def _rank(edge: Edge) -> tuple[int, float, int, int]:
    (h0, h1), (t0, t1) = edge.head, edge.tail
    return max(h0 - t1, t0 - h1, 0), -edge.score, h0, t0

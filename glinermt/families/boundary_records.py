"""Records of GLiNER2.5 whose instances the network tells apart, as gliner2 2.1.0 does.

Three modes say where an instance comes from: ``natural`` from each mention of one field, the
anchor; ``latent`` from any span; ``anchorless`` from queries that were learned. Each field of each
instance is then scored against all spans of the pool, and against being absent.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from glinermt.errors import needs
from glinermt.types import Cardinality, Structure

_NEVER = 1000.0
"""Cost above all others, of what must not be chosen."""
Picked = list[tuple[int, float]]
"""Spans by their index in the pool, each with its score."""


@dataclass(frozen=True, slots=True)
class FormedRecord:
    """One instance: the spans of each field, by the field's index."""

    score: float
    anchor: int | None
    """The span that it was made from, where a field is the anchor."""
    fields: dict[int, Picked]


class RecordDecoder(nn.Module):
    """The weights that form instances; the names are those of the package."""

    def __init__(self, size: int, dim: int, num_queries: int) -> None:
        super().__init__()
        self.inst_proj = nn.Linear(size, dim)
        self.field_proj = nn.Linear(size, dim)
        self.cand_proj = nn.Linear(size, dim)
        self.null_embed = nn.Parameter(torch.zeros(dim))
        self.object_head = nn.Linear(size, 1)
        self.latent_seed_head = nn.Linear(size, 1)
        self.instance_embed = nn.Parameter(torch.zeros(num_queries, size))
        self.q_proj = nn.Linear(size, dim)
        self.k_proj = nn.Linear(size, dim)
        self.v_proj = nn.Linear(size, size)

    def forward(
        self,
        structure: Structure,
        spans: Float[Tensor, "span hidden"],
        logits: Float[Tensor, "field span"],
        fields: Float[Tensor, "field hidden"],
    ) -> tuple[Float[Tensor, " instance"], Float[Tensor, "field instance absent_or_span"]]:
        """Return how likely each instance is one, and the logits of its fields.

        Args:
            structure: says how instances are made.
            spans: vectors of the pool's spans.
            logits: their scores for the fields.
            fields: vectors of the fields.
        """
        if structure.mode == "natural":
            states, seen = spans, logits[structure.anchor_index]
        elif structure.mode == "latent":
            states, seen = spans, self.latent_seed_head(spans).squeeze(-1)
        else:
            near = self.q_proj(self.instance_embed) @ self.k_proj(spans).T
            weights = (near / math.sqrt(near.new_tensor(self.q_proj.out_features))).softmax(-1)
            states = self.instance_embed + weights @ self.v_proj(spans)
            seen = self.object_head(states).squeeze(-1)
        asked = self.inst_proj(states) + self.field_proj(fields)[:, None]  # field instance dim
        absent = asked @ self.null_embed
        return seen, torch.cat([absent[..., None], asked @ self.cand_proj(spans).T], dim=-1)


def form_records(
    structure: Structure,
    seen: Float[Tensor, " instance"],
    assigned: Float[Tensor, "field instance absent_or_span"],
    spans: Sequence[tuple[int, int]],
    threshold: float,
) -> list[FormedRecord]:
    """Choose instances and the spans of their fields.

    Args:
        structure: the fields, and how many values each has.
        seen: logits of instances being there.
        assigned: logits of what their fields hold.
        spans: places of the pool's spans.
        threshold: least probability of an instance, and of a value.
    """
    there = seen.sigmoid().tolist()
    order = sorted(range(len(there)), key=lambda i: (-there[i], i))
    instances = [i for i in order if there[i] >= threshold]
    if not instances:
        return []
    anchor = structure.anchor_index if structure.mode == "natural" else None
    values = [
        {}
        if number == anchor
        else _values(
            field.cardinality_or_default, field.exclusive, assigned[number], instances, threshold
        )
        for number, field in enumerate(structure.fields)
    ]
    records = []
    for i in instances:
        fields = {number: own[i] for number, own in enumerate(values) if own.get(i)}
        if anchor is not None:
            fields[anchor] = [(i, there[i])]
        if fields:
            records.append(FormedRecord(there[i], None if anchor is None else i, fields))
    if anchor is not None:
        return sorted(records, key=lambda record: spans[record.anchor or 0])
    distinct: dict[tuple[tuple[int, tuple[int, ...]], ...], FormedRecord] = {}
    for record in records:
        key = tuple(
            (number, tuple(sorted(i for i, _ in picked)))
            for number, picked in sorted(record.fields.items())
        )
        if key not in distinct or record.score > distinct[key].score:
            distinct[key] = record
    return list(distinct.values())


def _values(
    cardinality: Cardinality,
    exclusive: bool,
    assigned: Float[Tensor, "instance absent_or_span"],
    instances: Sequence[int],
    threshold: float,
) -> dict[int, Picked]:
    """Return the values of one field, instance by instance."""
    logits = assigned[list(instances)].double()
    may_be_absent = cardinality in ("optional_one", "zero_or_more")
    if cardinality in ("zero_or_more", "one_or_more"):
        shares = logits[:, 1:].sigmoid()
        if exclusive and shares.shape[1]:  # each span to the instance that it fits best
            best = shares.max(dim=0)
            mine = torch.zeros_like(shares, dtype=torch.bool)
            mine[best.indices, torch.arange(shares.shape[1])] = True
            shares = shares.masked_fill(~mine, -1.0)
        return {
            i: [(k, share) for k, share in enumerate(row) if share >= threshold]
            for i, row in zip(instances, shares.tolist(), strict=True)
        }
    shares = logits.softmax(-1)
    if exclusive:
        columns = _assigned_apart(shares.cpu().numpy(), may_be_absent)
    else:
        columns = (shares if may_be_absent else shares[:, 1:]).argmax(-1).tolist()
        columns = [k - may_be_absent for k in columns]
    return {
        i: [(k, share)]
        for i, k, row in zip(instances, columns, shares.tolist(), strict=True)
        if 0 <= k < len(row) - 1 and ((share := row[k + 1]) >= threshold or not may_be_absent)
    }


def _assigned_apart(shares: np.ndarray, may_be_absent: bool) -> list[int]:
    """Return the span of each instance, no span twice; -1 = absent.

    What all choose together has the greatest product of probabilities.
    """
    needs("scipy", extra="records")
    from scipy.optimize import linear_sum_assignment

    count, number = shares.shape[0], shares.shape[1] - 1
    if not number:
        return [-1] * count
    floor = np.finfo(np.float32).eps
    cost = -np.log(shares.clip(min=floor))
    absent = cost[:, 0] if may_be_absent else np.full(count, cost[:, 1:].max() + 50.0)
    own = np.full((count, count), max(cost[:, 1:].max(), absent.max()) + _NEVER)
    own[np.arange(count), np.arange(count)] = absent
    rows, columns = linear_sum_assignment(np.concatenate([cost[:, 1:], own], axis=1))
    chosen = dict(zip(rows.tolist(), columns.tolist(), strict=True))
    return [k if (k := chosen[row]) < number else -1 for row in range(count)]


def own_choices(
    text: str,
    scores: Mapping[str, float],
    chosen: Mapping[str, float],
    anchors: Sequence[tuple[int, int] | None],
    number: int,
    *,
    limit: float,
    one: bool,
) -> dict[str, float]:
    """Return the score of each choice in one of several records of a text.

    A choice that stands in the text belongs to the record whose anchor stands before it, to the
    first one where none does; that it stands there is enough to reach ``limit``. Where no choice
    does, or the record has no anchor, those count that the network chose for the record, whatever
    their score, and where it chose none, its scores for the whole text.

    Args:
        text: the text.
        scores: of each choice, for the whole text.
        chosen: the same for this record.
        anchors: characters of all records' anchors.
        number: which of them is this record's.
        limit: least score of a choice.
        one: the field has at most one value.
    """
    anchor = anchors[number]
    if anchor is not None:
        mentions = _choices_in(text, scores)
        mine = [m for m in mentions if _owner(m, anchors) == number]
        if mine and one:
            mine = [min(mine, key=lambda m: max(anchor[0] - m[2], m[1] - anchor[1], 0))]
        if mentions:
            names = {name for name, _, _ in mine}
            return {c: max(s, limit) if c in names else 0.0 for c, s in scores.items()}
    if not any(chosen.values()):
        return dict(scores)
    return {c: max(chosen[c], limit) if chosen[c] > 0 else 0.0 for c in scores}


def _choices_in(text: str, choices: Iterable[str]) -> list[tuple[str, int, int]]:
    """Return the choices that stand in the text as whole words, with their places."""
    found = [
        (choice, match.start(), match.end())
        for choice in choices
        for match in re.finditer(rf"(?<!\w){re.escape(choice)}(?!\w)", text, re.IGNORECASE)
    ]
    return sorted(found, key=lambda mention: mention[1])


def _owner(mention: tuple[str, int, int], anchors: Sequence[tuple[int, int] | None]) -> int:
    """Return the record whose anchor begins last before the mention, else that of the first."""
    known = sorted((anchor[0], i) for i, anchor in enumerate(anchors) if anchor is not None)
    before = [place for place in known if place[0] <= mention[1]]
    return (before[-1] if before else known[0])[1]

"""Labels that mean one thing: other spellings, synonyms of a table, and names of the same mentions.

The most frequent way to write a label takes the place of the others in all examples of a run, and
the report has the table of what was merged and why. Two labels with other mentions are left apart.
"""

import re
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

from glinermt.errors import DataError
from glinermt.synth.recipes import RECIPES
from glinermt.synth.store import Store

_HEAD = " <> "
"""Between head and relation in a relation's label."""
_ALWAYS_SO = frozenset(
    "series species news status bus class gas glass address business access process loss "
    "analysis basis crisis hypothesis thesis virus campus census corpus genus chorus bonus "
    "physics mathematics politics economics athletics mechanics ethics this his".split()
)
"""Singular words that end in s."""
COMMON_SHARE = 0.6
"""Least part of the mentions of two labels that are both's, for them to be merged by mentions."""
MOST_LABELS = 20
"""A mention with more says nothing of any two of them."""
FIXED = ("redact",)
"""Tasks whose labels are given, not chosen."""

SYNONYMS: dict[str, tuple[str, ...]] = {
    "person": ("human", "human being", "individual"),
    "organization": ("organisation", "org"),
    "location": ("geographic location", "geographical location"),
    "company": ("firm", "corporation", "business company"),
    "country": ("nation", "sovereign state"),
    "city": ("town or city",),
    "film": ("movie", "motion picture"),
    "television series": ("tv series", "tv show", "television show"),
    "football club": ("soccer club", "association football club"),
    "football player": ("soccer player", "footballer"),
    "musical group": ("music group", "musical band"),
    "song": ("musical song", "song title"),
    "book": ("book title",),
    "writer": ("author",),
    "physician": ("medical doctor",),
    "occupation": ("profession", "job"),
    "job title": ("position title",),
    "nationality": ("citizenship",),
    "disease": ("illness", "medical disease"),
    "medication": ("medicine", "pharmaceutical drug"),
    "chemical compound": ("chemical substance",),
    "date": ("calendar date", "calendar day"),
    "time period": ("period of time",),
    "amount of money": ("monetary amount", "monetary value", "sum of money"),
    "percentage": ("percent", "per cent"),
    "quantity": ("amount",),
    "number": ("numeral", "numeric value"),
    "color": ("colour",),
    "award": ("prize",),
    "program": ("programme",),
    "center": ("centre",),
    "theater": ("theatre",),
    "website": ("web site",),
    "email address": ("e mail address",),
    "phone number": ("telephone number",),
    "born in": ("place of birth", "birthplace", "was born in"),
    "died in": ("place of death",),
    "date of birth": ("birth date", "born on"),
    "date of death": ("death date", "died on"),
    "spouse": ("married to", "wife or husband"),
    "located in": ("is located in", "situated in", "location of"),
    "works for": ("employed by", "employer", "worked for"),
    "founded by": ("established by",),
    "capital of": ("is the capital of",),
    "part of": ("is part of",),
    "member of": ("is a member of",),
}
"""Label -> others that mean the same; of those in a run the most frequent is kept."""


def label_key(label: str) -> str:
    """Return what labels have in common that are spelled otherwise only."""
    words = re.split(r"[\s_–-]+", label.strip(" _–-").casefold())
    if len(words) > 1 and words[0] in ("a", "an", "the"):
        words = words[1:]
    return " ".join([*words[:-1], _singular(words[-1])])


def _singular(word: str) -> str:
    if word in _ALWAYS_SO or len(word) < 4 or not word.endswith("s") or word.endswith("ss"):
        return word
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    if word.endswith(("ches", "shes", "xes", "sses", "zes")):
        return word[:-2]
    return word[:-1]


def read_synonyms(file: Path) -> dict[str, tuple[str, ...]]:
    """Read a TOML file of lines ``label = ["other", ...]``.

    Raises:
        DataError: it cannot be read, or has something else.
    """
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{file}:0: cannot be read as TOML ({error})") from error
    for label, others in table.items():
        if not isinstance(others, list) or not all(isinstance(other, str) for other in others):
            raise DataError(f"{file}:0: {label!r} should have a list of labels, got {others!r:.80}")
    return {label: tuple(others) for label, others in table.items()}


@dataclass
class Labels:
    """The labels of a run: how many spans each has, and, where these are wanted, which mentions."""

    with_mentions: bool = True
    counts: Counter[str] = field(default_factory=Counter)
    mentions: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def add(self, row: Mapping[str, Any]) -> None:
        if not _chosen(row):
            return
        task = row["task"]
        for name in (*row["labels"], *row.get("relation_labels", ())):
            self.counts[label_name(task, name)] += 0  # asked in vain, and merged all the same
        for span in row["spans"]:
            mention = row["text"][span["start"] : span["end"]].casefold()
            self._add(task, span["label"], mention)
        for relation in row.get("relations", ()):
            ends = [row["text"][relation[end]["start"] : relation[end]["end"]] for end in ENDS]
            self._add(task, relation["label"], " / ".join(ends).casefold())

    def _add(self, task: str, label: str, mention: str) -> None:
        name = label_name(task, label)
        self.counts[name] += 1
        if self.with_mentions:
            head = label.removesuffix(name)
            self.mentions[name].add(f"{head}{mention}")


ENDS = ("head", "tail")


def find_merges(
    labels: Labels,
    synonyms: Mapping[str, Iterable[str]] = SYNONYMS,
    *,
    shared_mentions: int = 0,
) -> dict[str, dict[str, Any]]:
    """Return what each label that goes is ``written`` as, ``why``, and how many ``spans`` it had.

    Args:
        labels: those of the run.
        synonyms: label -> others that mean the same.
        shared_mentions: how many mentions two labels must have in common, and most of both, to be
            merged for that; 0 = never.
    """
    kept: dict[str, str] = {label: label for label in labels.counts}
    why: dict[str, str] = {}
    keys = {key: label_key(key) for key in labels.counts}
    same = {label_key(other): label_key(name) for name in synonyms for other in synonyms[name]}
    _unite(labels, kept, why, "spelling", lambda label: keys[label])
    _unite(labels, kept, why, "synonym", lambda label: same.get(keys[label], keys[label]))
    if shared_mentions:
        _unite(labels, kept, why, "mentions", _of_the_same(labels, kept, shared_mentions).get)
    return {
        label: {"written": to, "why": why[label], "spans": labels.counts[label]}
        for label, to in sorted(kept.items())
        if to != label
    }


def _unite(
    labels: Labels,
    kept: dict[str, str],
    why: dict[str, str],
    cause: str,
    kind: Callable[[str], str | None],
) -> None:
    """Let the most frequent of the labels kept so far that are of a kind stand for all of them."""
    totals = _totals(labels, kept)
    best: dict[str, str] = {}
    for label in sorted(totals, key=lambda label: (-totals[label], label)):
        best.setdefault(kind(label) or label, label)
    for label, to in kept.items():
        new = best[kind(to) or to]
        if new != to:
            kept[label] = new
            why.setdefault(label, cause)


def _totals(labels: Labels, kept: Mapping[str, str]) -> Counter[str]:
    """Return how many spans each label has with those that it stands for."""
    totals: Counter[str] = Counter()
    for label, to in kept.items():
        totals[to] += labels.counts[label]
    return totals


def _of_the_same(labels: Labels, kept: Mapping[str, str], least: int) -> dict[str, str]:
    """Return which label stands for others that name mostly the same mentions."""
    mentions: dict[str, set[str]] = defaultdict(set)
    for label, to in kept.items():
        mentions[to] |= labels.mentions.get(label, set())
    of_mention: dict[str, list[str]] = defaultdict(list)
    for label in sorted(mentions):
        for mention in mentions[label]:
            of_mention[mention].append(label)
    several = (own for own in of_mention.values() if len(own) <= MOST_LABELS)
    shared = Counter(pair for own in several for pair in combinations(own, 2))
    group: dict[str, str] = {}
    for (one, other), number in sorted(shared.items()):
        if number >= max(least, COMMON_SHARE * len(mentions[one] | mentions[other])):
            first, second = group.get(one, one), group.get(other, other)
            group |= {label: first for label, to in group.items() if to == second}
            group |= {one: first, other: first, second: first}
    return group


def merge_labels(
    store: Store,
    manifest: dict[str, Any],
    *,
    synonyms: Mapping[str, Iterable[str]] = SYNONYMS,
    shared_mentions: int = 0,
) -> None:
    """Merge the labels of all finished shards, and bring the manifest up to date.

    ``manifest["merges"]`` is the table of what was merged, now and before. Doing it again changes
    nothing. The manifest has to be written.
    """
    labels = Labels(with_mentions=shared_mentions > 0)
    for row in store.read_examples():
        labels.add(row)
    merges = find_merges(labels, synonyms, shared_mentions=shared_mentions)
    known: dict[str, dict[str, Any]] = manifest.setdefault("merges", {})
    if not merges:
        return
    written = {label: entry["written"] for label, entry in merges.items()}
    for name, shard in manifest["shards"].items():
        rows = list(store.read_shard(name))
        merged = [_merged(row, written) for row in rows]
        if merged == rows:
            continue
        store.write_examples(name, merged)
        shard["bytes"] = store.examples_file(name).stat().st_size
        shard["merged"] = dict(Counter(shard.get("merged", {})) + _spans(rows, written))
    for label, entry in known.items():
        entry["written"] = written.get(entry["written"], entry["written"])
        merges.setdefault(label, entry)
    spans: Counter[str] = Counter()  # of shards, so that one made again is not counted twice
    for shard in manifest["shards"].values():
        spans.update(shard.get("merged", {}))
    manifest["merges"] = {
        label: {**entry, "spans": spans[label]}
        for label, entry in sorted(merges.items())
        if entry["written"] != label
    }


def _spans(rows: Iterable[Mapping[str, Any]], written: Mapping[str, str]) -> Counter[str]:
    """Return how many spans each label has that is written in another way."""
    labels = Labels(with_mentions=False)
    for row in rows:
        labels.add(row)
    return Counter({label: number for label, number in labels.counts.items() if label in written})


def label_name(task: str, label: str) -> str:
    """Return what a label of a task names: a relation's, without the head before it."""
    return label.rpartition(_HEAD)[2] if task == "relations" else label


def _chosen(row: Mapping[str, Any]) -> bool:
    return RECIPES[row["recipe"]].typed and row["task"] not in FIXED


def _merged(row: dict[str, Any], written: Mapping[str, str]) -> dict[str, Any]:
    if not _chosen(row):
        return row

    def renamed(label: str) -> str:
        name = label_name(row["task"], label)
        return label.removesuffix(name) + written.get(name, name)

    merged = dict(row)
    for names in ("labels", "relation_labels"):
        if names in row:
            merged[names] = list(dict.fromkeys(map(renamed, row[names])))
    for found in ("spans", "relations"):
        if found in row:
            merged[found] = []
            for item in row[found]:
                changed = {**item, "label": renamed(item["label"])}
                if changed not in merged[found]:
                    merged[found].append(changed)
    return merged

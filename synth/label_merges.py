"""Labels that mean one thing written in several ways: case, plural, hyphen, article.

The most frequent way takes the place of the others, in all examples of a run, and the report
says which were merged. Synonyms are left apart: nothing here knows what words mean.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

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


def label_key(label: str) -> str:
    """Return what labels have in common that are to be one."""
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


def find_merges(counts: Mapping[str, int]) -> dict[str, str]:
    """Return which label takes the place of which, the most frequent of each kind being kept."""
    kinds: dict[str, list[str]] = defaultdict(list)
    for label in counts:
        kinds[label_key(label)].append(label)
    merges: dict[str, str] = {}
    for labels in kinds.values():
        kept = min(labels, key=lambda label: (-counts[label], label))
        merges |= {label: kept for label in labels if label != kept}
    return merges


def merge_labels(store: Store, manifest: dict[str, Any]) -> dict[str, str]:
    """Merge the labels of all finished shards; return what was merged, now and before.

    The manifest is brought up to date and has to be written; doing it again changes nothing.
    """
    counts: Counter[str] = Counter()
    for row in store.read_examples():
        if RECIPES[row["recipe"]].typed:
            counts.update(label_name(row["task"], span["label"]) for span in row["spans"])
    merges = find_merges(counts)
    if merges:
        for name in manifest["shards"]:
            rows = [_merged(row, merges) for row in store.read_shard(name)]
            store.write_examples(name, rows)
            manifest["shards"][name]["bytes"] = store.examples_file(name).stat().st_size
    known: dict[str, str] = manifest.setdefault("merges", {})
    known |= merges
    return known


def label_name(task: str, label: str) -> str:
    """Return what a label of a task names: a relation's, without the head before it."""
    return label.rpartition(_HEAD)[2] if task == "relations" else label


def _merged(row: dict[str, Any], merges: Mapping[str, str]) -> dict[str, Any]:
    if not RECIPES[row["recipe"]].typed:
        return row
    task = row["task"]
    spans = [{**span, "label": _renamed(task, span["label"], merges)} for span in row["spans"]]
    labels = list(dict.fromkeys(_renamed(task, label, merges) for label in row["labels"]))
    return {**row, "labels": labels, "spans": spans}


def _renamed(task: str, label: str, merges: Mapping[str, str]) -> str:
    name = label_name(task, label)
    return label.removesuffix(name) + merges.get(name, name)

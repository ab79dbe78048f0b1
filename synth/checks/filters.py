"""Why a piece of a reply is not kept. Each filter gives its cause, or None."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from glinermt.synth.checks.align import FUNCTION_WORDS, Source, normal, normal_words

MOST_MENTION_WORDS = 10
MOST_LABEL_WORDS = 6
MOST_DEFINITION_WORDS = 30
LEAST_PROMPT_WORDS, MOST_PROMPT_WORDS = 3, 40
COPIED_RUN = 8
"""Words of a prompt that, in a row in another text, show that it was copied, not made up."""
NOTHING_KEPT = "negative: nothing else of the reply is kept"
"""Who quotes nothing rightly is not believed about what is missing."""
SUMMARY_SHARE = (0.03, 0.5)
"""Least and most part of the text's characters."""
MOST_PIECE_WORDS = 60
NO_LABELS = frozenset(
    "none misc miscellaneous else other others unknown entity entities label type n/a na null "
    "thing things noun phrase word".split()
)
_SYMMETRIC = frozenset(
    "spouse married wife husband partner partners sibling siblings brother sister twin friend "
    "colleague rival rivals opponent borders border neighbor neighbour adjacent near similar "
    "equivalent same related connected cousin collaborator collaborated worked with met and "
    "shares different between together versus against ally allies allied synonym alias".split()
)
"""A relation with one of these words may hold both ways round."""


KEPT_FOR_SHOW = 200


@dataclass
class Ledger:
    """What happened to the pieces of replies: how they were placed, why they were dropped.

    Counts of one row or of many; the first drops are kept as they were, for the preview."""

    statuses: Counter[str] = field(default_factory=Counter)
    drops: Counter[str] = field(default_factory=Counter)
    dropped: list[tuple[str, str]] = field(default_factory=list)
    """(cause, what)."""

    def drop(self, cause: str, what: str = "") -> None:
        self.drops[cause] += 1
        if len(self.dropped) < KEPT_FOR_SHOW:
            self.dropped.append((cause, what))


def clean_label(label: str) -> str:
    """Return a label in the form that is trained: plain words, lower case unless an acronym."""
    words = label.replace("_", " ").strip(" .:;,\"'").split()
    return " ".join(word if word.isupper() and len(word) <= 5 else word.lower() for word in words)


def label_fault(label: str, mention: str, most_words: int = MOST_LABEL_WORDS) -> str | None:
    """Say what is wrong with a cleaned label."""
    if not any(map(str.isalnum, label)):
        return "label: empty"
    if normal(label) in NO_LABELS:
        return "label: says nothing"
    if normal(label) == normal(mention):
        return "label: is the mention"
    if len(label.split()) > most_words:
        return "label: too many words"
    return "label: marks of the text format" if "<>" in label or "<<" in label else None


def mention_fault(source: Source, start: int, end: int) -> str | None:
    """Say what is wrong with a piece of the text as an entity."""
    mention = source.text[start:end]
    if fault := piece_fault(source, start, end):
        return fault
    if source.num_words(start, end) > MOST_MENTION_WORDS:
        return "mention: too many words"
    if FUNCTION_WORDS.issuperset(normal_words(mention)):
        return "mention: function words only"
    if any(start <= s and e - 1 <= end for s, e in source.sentences if source.num_words(s, e) > 3):
        return "mention: a whole sentence"
    return None


def piece_fault(source: Source, start: int, end: int) -> str | None:
    """Say what is wrong with a piece of the text as a match of any kind."""
    if not any(map(str.isalnum, source.text[start:end])):
        return "piece: no letter"
    if source.num_words(start, end) > MOST_PIECE_WORDS:
        return "piece: too many words"
    return None


def prompt_fault(
    source: Source, prompt: str, answers: tuple[str, ...] = (), asked: Iterable[str] = ()
) -> str | None:
    """Say what is wrong with a question or an instruction that the LLM made up.

    ``asked``: the recipe's own prompts; small LLMs give back what stands in them.
    """
    words = normal_words(prompt)
    if len(words) < LEAST_PROMPT_WORDS:
        return "prompt: too few words"
    if _copied(source, words):
        return "prompt: copied from the text"
    if any(_says(one, _parts(words)) for one in asked):
        return "prompt: copied from the recipe"
    if words[-1] in FUNCTION_WORDS and not prompt.rstrip().endswith((".", "?")):
        return "prompt: breaks off"
    if len(words) > MOST_PROMPT_WORDS:
        return "prompt: too many words"
    if "<<" in prompt:
        return "prompt: marks of the text format"
    if len(set(words)) * 2 < len(words):
        return "prompt: repeats itself"
    if any(stands_in(answer, prompt) for answer in answers):
        return "prompt: contains its answer"
    return None


def stands_in(name: str, text: str) -> bool:
    """Say whether the words of a name stand like this in a text."""
    return _says(text, [normal_words(name)])


def _says(text: str, runs: Iterable[list[str]]) -> bool:
    """Whether the words of a run stand like this in the text."""
    said = f" {' '.join(normal_words(text))} "
    return any(f" {' '.join(run)} " in said for run in runs)


def _copied(source: Source, words: list[str]) -> bool:
    """Whether a run of words, or all of them, stand like this in the text."""
    return any(source.says(" ".join(part)) for part in _parts(words))


def _parts(words: list[str]) -> list[list[str]]:
    """Return the runs of words that show copying; all the words, where they are fewer."""
    run = min(len(words), COPIED_RUN)
    return [words[i : i + run] for i in range(len(words) - run + 1)]


def question_fault(source: Source, question: str, answers: tuple[str, ...] = ()) -> str | None:
    """Say what is wrong with a question."""
    if not question.rstrip().endswith(("?", "？", "؟")):
        return "question: no question mark"
    return prompt_fault(source, question, answers)


def summary_fault(source: Source, spans: list[tuple[int, int]]) -> str | None:
    """Say what is wrong with the pieces of a summary together."""
    share = sum(end - start for start, end in spans) / max(1, len(source.text))
    if share < SUMMARY_SHARE[0]:
        return "summary: too short for the text"
    return "summary: too long for the text" if share > SUMMARY_SHARE[1] else None


def may_be_symmetric(relation: str) -> bool:
    """Whether the relation may hold the other way round, too."""
    return not _SYMMETRIC.isdisjoint(normal_words(relation))

"""What the encoder reads: tokenised queries, passes over them, and rows of equal length."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

NO_TOKEN = -1
"""Position of a word's first token where the word has none."""
NO_LABELS = range(0)
KINDS = ("labels", "relations", "classes")
"""The kinds of labels, as ``Query`` and ``Pass`` name them, in the order of a row."""
CLASSES = KINDS.index("classes")


@dataclass(frozen=True, slots=True)
class TokenizedWords:
    """Words of one text: their offsets in characters and their tokens."""

    offsets: list[tuple[int, int]]
    token_ids: list[int]
    first_token: list[int]
    """Index into ``token_ids`` where each word begins, with the total at the end."""

    def num_tokens(self, start: int, end: int) -> int:
        """Tokens of the words ``start`` to ``end`` (exclusive)."""
        return self.first_token[end] - self.first_token[start]


@dataclass(frozen=True, slots=True)
class TokenizedQuery:
    """A query ready to be cut into passes. Labels are distinct, in the order of the query."""

    labels: tuple[str, ...]
    relations: tuple[str, ...]
    classes: tuple[str, ...]
    label_ids: tuple[list[list[int]], ...]
    """Tokens of every label, one list a kind, in the order of ``KINDS``."""
    prompt: TokenizedWords
    text: TokenizedWords


LabelRanges = tuple[range, range, range]
"""Which labels of each kind a pass asks for, in the order of ``KINDS``."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One row for the encoder: some labels over a range of a query's words.

    ``start`` and ``end`` count words of the query's text; ``labels``, ``relations`` and ``classes``
    are indices into the query's.
    """

    query: int
    labels: range
    start: int
    end: int
    num_tokens: int
    relations: range = NO_LABELS
    classes: range = NO_LABELS

    @property
    def kinds(self) -> "LabelRanges":
        return self.labels, self.relations, self.classes


@dataclass(frozen=True, slots=True)
class ApartRows:
    """Texts and class labels in rows of their own, for ``heads.class_.ClassSimilarity``."""

    text_ids: Int[np.ndarray, "text token"]
    text_mask: Bool[np.ndarray, "text token"]
    label_ids: Int[np.ndarray, "label label_token"]
    label_mask: Bool[np.ndarray, "label label_token"]
    text: Int[np.ndarray, " row"]
    """Which of the texts belongs to each row of the batch; 0 for rows that ask for no class."""
    label: Int[np.ndarray, "row class"]
    """Which of the labels each row asks for; 0 is padding as well."""
    mask: Bool[np.ndarray, "row class"]
    """The classes that each row asks for; the rest is padding."""


@dataclass(frozen=True, slots=True)
class PaddedRows:
    """Rows of equal length. Word axes hold the prompt's words first, then the text's.

    The label axis holds all kinds, each padded to the most that a row has of it: labels of spans,
    of relations, of the text. ``by_kind`` takes it apart.
    """

    input_ids: Int[np.ndarray, "row token"]
    attention_mask: Bool[np.ndarray, "row token"]
    word_position: Int[np.ndarray, "row word"]
    """Token position of each word's first token; ``NO_TOKEN`` for none."""
    word_mask: Bool[np.ndarray, "row word"]
    label_position: Int[np.ndarray, "row label"]
    """Token position of each label's marker."""
    label_length: Int[np.ndarray, "row label"]
    """Tokens of the label after its marker."""
    label_mask: Bool[np.ndarray, "row label"]
    num_labels: tuple[int, int, int]
    """Places of the label axis that each kind takes."""
    num_prompt_words: tuple[int, ...]
    apart: ApartRows | None = None
    """What classes are compared by where they do not stand in the rows."""

    @property
    def text_mask(self) -> Bool[np.ndarray, "row word"]:
        """The words of the text: neither padding nor prompt."""
        place = np.arange(self.word_mask.shape[1])
        mask: np.ndarray = self.word_mask & (place >= np.array(self.num_prompt_words)[:, None])
        return mask

    def by_kind(self, labels: np.ndarray) -> list[np.ndarray]:
        """Split what has a label axis into its parts for spans, relations and classes."""
        return np.split(labels, np.cumsum(self.num_labels)[:-1], axis=1)


@dataclass(frozen=True, slots=True)
class Row:
    """A pass as token ids, before it is padded."""

    token_ids: list[int]
    word_position: list[int]
    label_position: list[list[int]]
    """One list a kind, in the order of ``KINDS``."""
    label_length: list[list[int]]


def pad(values: list[list[int]], filler: int, multiple: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return the values, padded to the longest or a multiple beyond it, and what is real."""
    lengths = np.array([len(value) for value in values])
    width = -(-int(lengths.max(initial=0)) // multiple) * multiple
    padded = np.full((len(values), width), filler, dtype=np.int64)
    for i, value in enumerate(values):
        padded[i, : len(value)] = value
    mask = np.arange(width)[None, :] < lengths[:, None]
    return padded, mask

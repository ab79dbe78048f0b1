"""Turns queries into token ids: ``[CLS] <<ENT>> label ... <<SEP>> prompt text [SEP]``.

Labels of spans come first, behind ``<<ENT>>``; those of relations and of the whole text follow
behind ``<<REL>>`` and ``<<CLS>>``, where a query asks for them.

Words and labels are tokenised each on its own and assembled by hand, never as one string. So a
label or text that looks like a special token stays plain text, a word without any token (a
zero-width character) shifts nothing, and word positions are known instead of searched for.
"""

import unicodedata
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from jaxtyping import Bool, Int

from glinermt.config import ModelConfig
from glinermt.rows import (
    CLASSES,
    KINDS,
    NO_TOKEN,
    ApartRows,
    LabelRanges,
    PaddedRows,
    Pass,
    Row,
    TokenizedQuery,
    TokenizedWords,
    pad,
)
from glinermt.tokenizer import Tokenizer
from glinermt.types import Query
from glinermt.words import PLAIN, WordSplitter, own_splitter, plain_label, plain_word, word_splitter

KNOWN_LABELS = 1000
"""Labels whose tokens are kept from call to call, at most."""


class QueryEncoder:
    """Tokenises queries and builds batches from passes.

    Args:
        tokenizer: a fast tokenizer that knows the markers.
        split_words: finds the words of a prompt and a text.
        ent_token_id: marks the beginning of each label of spans.
        sep_token_id: ends the labels.
        max_tokens: tokens one pass may have.
        max_labels: labels of each kind one pass may ask for; 0 = no limit but the tokens.
        rel_token_id: marks the beginning of each relation label; None where the model reads none.
        cls_token_id: the same for classes of the text.
        relations_apart: relations are never asked in the row of labels of spans.
        classes_apart: classes and texts that ask for them are read in rows of their own instead.
        plain: whether words and labels are read in a plain form; see ``words.PLAIN``.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        split_words: WordSplitter,
        *,
        ent_token_id: int,
        sep_token_id: int,
        max_tokens: int,
        max_labels: int = 0,
        rel_token_id: int | None = None,
        cls_token_id: int | None = None,
        relations_apart: bool = False,
        classes_apart: bool = False,
        plain: bool = False,
    ) -> None:
        self.tokenizer = tokenizer
        self.split_words = split_words
        self.plain = plain
        self.markers = (ent_token_id, rel_token_id, cls_token_id)
        self.sep_token_id = sep_token_id
        self.relations_apart = relations_apart
        self.classes_apart = classes_apart
        self.max_tokens = max_tokens
        self.max_labels = max_labels
        self.prefix, self.suffix = _frame(tokenizer)
        self.pad_token_id: int = tokenizer.pad_token_id or 0
        self._added = tuple(token.casefold() for token in tokenizer.get_added_vocab())
        self._labels: dict[str, list[int]] = {}
        self._backend = tokenizer.backend_tokenizer
        self._backend.no_truncation()
        self._backend.no_padding()

    @classmethod
    def from_config(cls, config: ModelConfig, tokenizer: Tokenizer) -> "QueryEncoder":
        """Return the encoder of queries for our own network.

        Raises:
            ConfigError: an unknown word splitter.
        """
        return cls(
            tokenizer,
            word_splitter(config.words),
            ent_token_id=config.ent_token_id,
            sep_token_id=config.sep_token_id,
            rel_token_id=config.rel_token_id if config.relation_head else None,
            cls_token_id=config.cls_token_id if config.classes_in_prompt else None,
            relations_apart=config.relations_apart,
            classes_apart=config.classes_apart,
            max_tokens=config.max_tokens,
            max_labels=config.max_labels,
            plain=config.words in PLAIN,
        )

    def split_by(self, words: str | Callable[[str], Iterable[tuple[int, int]]]) -> None:
        """Split texts by another splitter from now on, a known one or a function.

        Raises:
            BackendError: the splitter's library is not installed.
            ConfigError: an unknown splitter.
        """
        if not isinstance(words, str):
            self.split_words = own_splitter(words)
            return
        split = word_splitter(words)
        split("")  # raises where the library is missing
        self.split_words, self.plain, self._labels = split, words in PLAIN, {}

    def tokenize(self, queries: Sequence[Query]) -> list[TokenizedQuery]:
        """Tokenise all texts, prompts and labels; the same label or prompt only once."""
        asked = [
            (self._distinct(q.labels), distinct(q.relations), distinct(q.classes)) for q in queries
        ]
        shared = {label: None for kinds in asked for labels in kinds for label in labels}
        prompts = {query.prompt: None for query in queries}
        texts = self.tokenize_texts([*prompts, *(query.text for query in queries)])
        tokenized_prompts = dict(zip(prompts, texts, strict=False))
        ids = self._label_ids(shared)
        result = []
        for query, kinds, text in zip(queries, asked, texts[len(prompts) :], strict=True):
            labels, relations, classes = kinds
            label_ids = tuple([ids[label] for label in names] for names in kinds)
            prompt = tokenized_prompts[query.prompt]
            result.append(TokenizedQuery(labels, relations, classes, label_ids, prompt, text))
        return result

    def _label_ids(self, labels: Iterable[str]) -> dict[str, list[int]]:
        """Return each label's tokens; the same labels are mostly asked call after call."""
        known = self._labels
        new = [label for label in labels if label not in known]
        if new:
            read = [[plain_label(label) if self.plain else label] for label in new]
            tokenized = zip(new, self.tokenize_words(read), strict=True)
            found = {label: words.token_ids for label, words in tokenized}
            known = {**known, **found}
            self._labels = known if len(known) <= KNOWN_LABELS else {}
        return known

    def same(self, label: str) -> str:
        """Return what labels of spans have in common that are asked once."""
        return plain_label(label).casefold() if self.plain else label

    def _distinct(self, labels: Sequence[str]) -> tuple[str, ...]:
        """Return labels of spans; those that read the same are asked once, under the first name."""
        names: dict[str, str] = {}
        for label in labels:
            names.setdefault(self.same(label), label)
        return tuple(names.values())

    def overhead(self, query: TokenizedQuery, asked: LabelRanges) -> int:
        """Tokens of a pass that are not its text's."""
        label_tokens = sum(
            self.label_tokens(kind, query.label_ids[kind][i])
            for kind, part in enumerate(asked)
            for i in part
        )
        frame = len(self.prefix) + len(self.suffix) + 1
        return frame + label_tokens + len(query.prompt.token_ids)

    def label_tokens(self, kind: int, label_ids: Sequence[int]) -> int:
        """Return the tokens that a label of ``KINDS[kind]`` takes of a pass."""
        return 0 if kind == CLASSES and self.classes_apart else 1 + len(label_ids)

    def collate(
        self,
        queries: Sequence[TokenizedQuery],
        passes: Sequence[Pass],
        *,
        multiple: int = 1,
    ) -> PaddedRows:
        """Build the rows of ``passes``; tokens and words are padded to a ``multiple``.

        A row longer than ``max_tokens`` holds one word that is longer by itself: its last tokens
        are left out, and so is nothing that any word's vector is read from.
        """
        rows = [self._row(queries[p.query], p) for p in passes]
        input_ids, attention_mask = pad(
            [row.token_ids for row in rows], self.pad_token_id, multiple
        )
        word_position, word_mask = pad([row.word_position for row in rows], NO_TOKEN, multiple)
        kinds = range(len(KINDS))
        places = [pad([row.label_position[kind] for row in rows], 0) for kind in kinds]
        lengths = [pad([row.label_length[kind] for row in rows], 0)[0] for kind in kinds]
        spans, relations, classes = (length.shape[1] for length in lengths)
        return PaddedRows(
            input_ids,
            attention_mask,
            word_position,
            word_mask,
            np.concatenate([place for place, _ in places], axis=1),
            np.concatenate(lengths, axis=1),
            np.concatenate([mask for _, mask in places], axis=1),
            (spans, relations, classes),
            tuple(len(queries[p.query].prompt.offsets) for p in passes),
            self._apart(queries, passes, multiple),
        )

    def _apart(
        self, queries: Sequence[TokenizedQuery], passes: Sequence[Pass], multiple: int
    ) -> ApartRows | None:
        if not self.classes_apart or not any(p.classes for p in passes):
            return None
        texts: list[list[int]] = []
        labels: dict[tuple[int, ...], int] = {}
        text, label = [], []
        for p in passes:
            query = queries[p.query]
            names = [tuple(query.label_ids[CLASSES][i]) for i in p.classes]
            label.append([labels.setdefault(ids, len(labels)) for ids in names])
            text.append(len(texts) if p.classes else 0)
            if p.classes:
                first = query.text.first_token
                texts.append(query.text.token_ids[first[p.start] : first[p.end]])
        place, mask = pad(label, 0)
        return ApartRows(
            *self.alone(texts, multiple),
            *self.alone([list(ids) for ids in labels], 1),
            np.array(text),
            place,
            mask,
        )

    def alone(
        self, token_ids: Sequence[list[int]], multiple: int = 1
    ) -> tuple[Int[np.ndarray, "row token"], Bool[np.ndarray, "row token"]]:
        """Return ids and mask of texts in rows of their own; what is too long is cut."""
        room = self.max_tokens - len(self.prefix) - len(self.suffix)
        rows = [[*self.prefix, *ids[:room], *self.suffix] for ids in token_ids]
        return pad(rows, self.pad_token_id, multiple)

    def _row(self, query: TokenizedQuery, window: Pass) -> Row:
        ids = list(self.prefix)
        label_position: list[list[int]] = [[] for _ in KINDS]
        label_length: list[list[int]] = [[] for _ in KINDS]
        if self.classes_apart and not window.labels and not window.relations:
            unread = len(query.prompt.offsets) + window.end - window.start
            return Row([*ids, *self.suffix], [NO_TOKEN] * unread, label_position, label_length)
        for kind, (marker, part) in enumerate(zip(self.markers, window.kinds, strict=True)):
            for i in part if kind != CLASSES or not self.classes_apart else ():
                assert marker is not None  # ``check_query`` refuses what the model does not read
                label = query.label_ids[kind][i]
                label_position[kind].append(len(ids))
                label_length[kind].append(len(label))
                ids.append(marker)
                ids.extend(label)
        ids.append(self.sep_token_id)
        word_position: list[int] = []
        pieces = (
            (query.prompt, 0, len(query.prompt.offsets)),
            (query.text, window.start, window.end),
        )
        for words, start, end in pieces:
            first = words.first_token
            base = len(ids) - first[start]
            word_position.extend(
                base + first[i] if first[i] < first[i + 1] else NO_TOKEN for i in range(start, end)
            )
            ids.extend(words.token_ids[first[start] : first[end]])
        del ids[self.max_tokens - len(self.suffix) :]
        ids.extend(self.suffix)
        return Row(ids, word_position, label_position, label_length)

    def tokenize_texts(self, texts: Sequence[str]) -> list[TokenizedWords]:
        """Split texts into words and tokenise those."""
        offsets = [self.split_words(text) for text in texts]
        words = [
            [plain_word(text[start:end]) if self.plain else text[start:end] for start, end in spans]
            for text, spans in zip(texts, offsets, strict=True)
        ]
        tokenized = self.tokenize_words(words)
        return [
            TokenizedWords(spans, tokens.token_ids, tokens.first_token)
            for spans, tokens in zip(offsets, tokenized, strict=True)
        ]

    def tokenize_words(self, rows: list[list[str]]) -> list[TokenizedWords]:
        """Tokenise rows of words; no word can become an added token of the tokenizer."""
        pieces, owners = [], []
        for row in rows:
            together = "\n".join(row)
            if together.isascii() and not self._names_added_token(together.casefold()):
                owners.append(list(range(len(row))))
                pieces.append(row)
                continue
            safe = [(i, part) for i, word in enumerate(row) for part in self._plain(word)]
            owners.append([i for i, _ in safe])
            pieces.append([part for _, part in safe])
        encodings = self._backend.encode_batch(
            pieces, is_pretokenized=True, add_special_tokens=False
        )
        result = []
        for row, owner, encoding in zip(rows, owners, encodings, strict=True):
            word_ids = np.array([owner[i] for i in encoding.word_ids], dtype=np.int64)
            first_token = np.searchsorted(word_ids, np.arange(len(row) + 1)).tolist()
            result.append(TokenizedWords([], encoding.ids, first_token))
        return result

    def _plain(self, word: str) -> list[str]:
        """Return the word itself, or its characters where it holds an added token's name.

        Full-width forms count as well: tokenizers with NFKC make the plain ones of them. Lone
        surrogates, which no tokenizer takes, become question marks.
        """
        folded = word
        if not word.isascii():
            word = word.encode("utf-8", "replace").decode("utf-8")
            folded = unicodedata.normalize("NFKC", word)
        folded = folded.casefold()
        return list(word) if self._names_added_token(folded) else [word]

    def _names_added_token(self, folded: str) -> bool:
        return any(token in folded for token in self._added)


def distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Return each name once, in the order of the first ones."""
    return tuple(dict.fromkeys(names))


def _frame(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """Return the ids before and after a row. Not every tokenizer adds them itself (transformers 5
    drops them for some), and without them every score is wrong, so they are set by hand."""
    first = tokenizer.cls_token_id if tokenizer.cls_token_id is not None else tokenizer.bos_token_id
    last = tokenizer.sep_token_id if tokenizer.sep_token_id is not None else tokenizer.eos_token_id
    return ([] if first is None else [first]), ([] if last is None else [last])

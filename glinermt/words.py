"""Splits a text into words, the units the model labels, each with its character offsets.

For scripts without spaces there are splitters made from the tokenizers of other libraries. A
library is imported when its splitter is first made. What it leaves out of a text is split as
published GLiNER checkpoints do, so that no character is lost.
"""

import importlib
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Bool

from glinermt.errors import BackendError, ConfigError, UsageError, unknown_choice

Offsets = list[tuple[int, int]]
WordSplitter = Callable[[str], Offsets]
"""Text -> ``(start, end)`` character offsets of its words, ascending and disjoint."""

_REFERENCE = re.compile(r"\w+(?:[-_]\w+)*|\S")
_LINE_END = re.compile(r"\r\n|[\n\r\v\f\x85\u2028\u2029]")
_JOINER = "\u200d"
_LABEL_EDGES = " \t\r\n.,:;!?"
_SENTENCE_ENDS = (".", "!", "?")
_MOST_CAPITALS = 0.7
"""Share of capitalised words up to which a text's capitals mean names."""
_ARTICLES = ("a", "an", "the")


def plain_word(word: str) -> str:
    """Return the composed form (Unicode's NFC) of a word, which models read."""
    return word if word.isascii() else unicodedata.normalize("NFC", word)


def plain_label(label: str) -> str:
    """Return what models read for a label.

    That is the composed form with spaces for underscores, and neither white space nor punctuation
    around it.
    """
    plain = " ".join(plain_word(label).replace("_", " ").split()).strip(_LABEL_EDGES)
    return plain or label


def split_reference(text: str) -> Offsets:
    """Split as published GLiNER checkpoints were trained: word runs, else single code points."""
    return [match.span() for match in _REFERENCE.finditer(text)]


def split_graphemes(text: str) -> Offsets:
    """Split like ``split_reference``, but never inside a character that a reader sees.

    Such a character (a grapheme cluster of Unicode's annex 29) may be several code points: a
    letter with marks, a syllable of Hindi or Thai, a flag, joined emoji. It counts as its first.
    """
    if text.isascii():
        return split_reference(text)
    places = [match.start() for match in _grapheme().finditer(text)]
    if len(places) == len(text):
        return split_reference(text)
    firsts = "".join(text[place] for place in places)
    places.append(len(text))
    return [(places[start], places[end]) for start, end in split_reference(firsts)]


def split_characters(text: str) -> Offsets:
    """Split per visible character, for scripts that write no spaces (Chinese, Thai)."""
    return [match.span() for match in _grapheme().finditer(text) if not match[0].isspace()]


@cache
def _grapheme() -> Any:
    import regex  # late: plain English needs none of it, and it takes a tenth of a second

    return regex.compile(r"\X")


SPLITTERS: dict[str, WordSplitter] = {
    "graphemes": split_graphemes,
    "characters": split_characters,
    "reference": split_reference,
    "whitespace": split_reference,
}
"""By name; ``whitespace`` is what published configurations call ``reference``."""
PLAIN = frozenset({"graphemes", "characters"})
"""Those with which words and labels are read in a plain form; the others leave them as they are."""


def end_of_character(text: str, end: int) -> int:
    """Return ``end``, moved on where it would cut a character that several code points make up.

    These are combining marks and variation selectors, and what a zero-width joiner joins. Only
    words of ``split_reference`` end there.
    """
    while end < len(text) and (
        text[end] == _JOINER
        or unicodedata.category(text[end]).startswith("M")
        or (text[end - 1 : end] == _JOINER and not text[end].isspace())
    ):
        end += 1
    return end


@dataclass(frozen=True, slots=True)
class Names:
    """What the capitals of a text say about where its names begin and end."""

    inside_begin: Bool[np.ndarray, " border"]
    """Before which words a span would begin inside a name."""
    inside_end: Bool[np.ndarray, " border"]
    """Before which words a span would end inside one."""
    article: Bool[np.ndarray, " word"]
    """The articles that stand before a name ("the" United States)."""
    numbered: Bool[np.ndarray, " word"]
    """The first words of names behind a number (1992 "Summer" Olympics)."""


def names_in(text: str, offsets: Sequence[tuple[int, int]]) -> Names:
    """Look for names by their capitals.

    Inside a name are borders of two capitalised words. One that begins a sentence has its capital
    for that, so a name may begin behind it. A text that is nearly all capitalised, or not at all,
    says nothing.
    """
    first = [text[start] for start, _ in offsets]
    capital = np.array([letter.isupper() for letter in first], dtype=bool)
    small = np.array([letter.islower() for letter in first], dtype=bool)
    if capital.sum() > _MOST_CAPITALS * (capital | small).sum():
        capital[:] = False
    inside = np.zeros(len(first) + 1, dtype=bool)
    inside[1:-1] = capital[:-1] & capital[1:]
    begins = inside.copy()
    for i in np.flatnonzero(inside).tolist():
        begins[i] = i > 1 and text[slice(*offsets[i - 2])] not in _SENTENCE_ENDS
    article, numbered = np.zeros_like(capital), np.zeros_like(capital)
    for i in (np.flatnonzero(capital[1:]) + 1).tolist():
        article[i - 1] = text[slice(*offsets[i - 1])] in _ARTICLES
        numbered[i] = first[i - 1].isdigit()
    return Names(begins, inside, article, numbered)


def line_ends(text: str) -> list[int]:
    """Return the places where lines of the text end, in ascending order."""
    return [match.start() for match in _LINE_END.finditer(text)]


_UNIVERSAL = {"ko": "mecab", "ja": "janome", "hi": "hindi", "ar": "camel"}
_UNIVERSAL |= dict.fromkeys(("zh", "zh-cn", "zh-tw"), "jieba")


def word_splitter(name: str) -> WordSplitter:
    """Return one of our splitters, or a library's, by its name.

    Where the library is missing, the splitter raises BackendError when it is first used, so that a
    model can be loaded and given another one.

    Raises:
        ConfigError: no such splitter.
    """
    if name in SPLITTERS:
        return SPLITTERS[name]
    if name not in LIBRARY_SPLITTERS:
        raise ConfigError(unknown_choice("word splitter", name, [*SPLITTERS, *LIBRARY_SPLITTERS]))
    try:
        return library_splitter(name)
    except BackendError as error:
        return _Missing(error)


def own_splitter(split: Callable[[str], Iterable[tuple[int, int]]]) -> WordSplitter:
    """Return the user's splitter with a check of what it gives.

    Raises:
        TypeError: it is no function.
    """
    if not callable(split):
        raise TypeError(
            "words must be the name of a splitter, or a function from a text to the (start, end) "
            f"of its words; got {split!r:.80}"
        )

    def checked(text: str) -> list[tuple[int, int]]:
        words = [(start, end) for start, end in split(text)] if text else []
        last = 0
        for start, end in words:
            if not last <= start < end <= len(text):
                raise UsageError(
                    f"the word splitter gave {start}:{end} behind {last} in a text of {len(text)} "
                    "characters; it must give (start, end) pairs, ascending and disjoint"
                )
            last = end
        return words

    return checked


class _Missing:
    """A word splitter whose library is not installed."""

    def __init__(self, error: BackendError) -> None:
        self.error = error

    def __call__(self, _: str) -> list[tuple[int, int]]:
        raise self.error


def library_splitter(name: str) -> WordSplitter:
    """Return the splitter that a published configuration calls ``name``.

    Raises:
        BackendError: the library is not installed.
        KeyError: no such splitter; see ``LIBRARY_SPLITTERS``.
    """
    return LIBRARY_SPLITTERS[name]()


def located(text: str, pieces: Iterable[str]) -> list[tuple[int, int]]:
    """Return where the pieces stand in the text, each looked for behind the one before.

    What no piece covers, and what a library has changed so that it is not found, is split by
    ``split_reference``.
    """
    spans: list[tuple[int, int]] = []
    end = 0
    for piece in map(str.strip, pieces):
        start = text.find(piece, end) if piece else -1
        if start >= 0:
            end = start + len(piece)
            spans.append((start, end))
    return covering(text, spans)


def covering(text: str, spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the spans, without empty and overlapping ones, and the words between them."""
    words: list[tuple[int, int]] = []
    end = 0
    for start, stop in (*spans, (len(text), len(text))):
        start = max(start, end)
        gap = text[end:start]
        if gap and not gap.isspace():
            words += [(end + first, end + last) for first, last in split_reference(gap)]
        if stop > start and not text[start:stop].isspace():
            words.append((start, stop))
        end = max(end, stop)
    return words


def _library(module: str, package: str, extra: str = "") -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        install = f"'glinermt[{extra}]'" if extra else package
        raise BackendError(
            f"the word splitter needs the package {package}: pip install {install}; or choose "
            "another with from_pretrained(..., words='characters')"
        ) from error


def _spacy(language: str = "en") -> WordSplitter:
    nlp = _library("spacy", "spacy", "words").blank(language)
    nlp.max_length = 10**9  # a blank pipeline only tokenises, which needs no limit
    return lambda text: covering(text, ((t.idx, t.idx + len(t.text)) for t in nlp(text)))


def _jieba() -> WordSplitter:
    tagger = _library("jieba3", "jieba3", "words").jieba3()
    return lambda text: located(text, tagger.cut_text(text))


def _mecab() -> WordSplitter:
    tagger = _library("mecab", "python-mecab-ko", "words").MeCab()
    return lambda text: located(text, tagger.morphs(text))


def _janome() -> WordSplitter:
    tokenizer = _library("janome.tokenizer", "janome", "words").Tokenizer()
    return lambda text: located(text, tokenizer.tokenize(text, wakati=True))


def _thai() -> WordSplitter:
    tokenize = _library("pythainlp.tokenize", "pythainlp", "words").word_tokenize
    return lambda text: located(text, tokenize(text, keep_whitespace=False))


def _camel() -> WordSplitter:
    tokenize = _library("camel_tools.tokenizers.word", "camel-tools").simple_word_tokenize
    return lambda text: located(text, tokenize(text))


def _hindi() -> WordSplitter:
    module = _library("indicnlp.tokenize.indic_tokenize", "indic-nlp-library")
    return lambda text: located(text, module.trivial_tokenize(text, lang="hi"))


def _language_of(seed: int) -> Callable[[str], str]:
    """Return a function that says which language a text has, the same whatever came before."""
    detection = _library("langdetect", "langdetect", "words")
    detection.DetectorFactory.seed = seed

    def language(text: str) -> str:
        try:
            return str(detection.detect(text))
        except detection.LangDetectException:  # no letters at all
            return ""

    return language


def _universal() -> WordSplitter:
    language, made = _language_of(0), dict[str, WordSplitter]()

    def split(text: str) -> list[tuple[int, int]]:
        name = _UNIVERSAL.get(language(text), "")
        if name not in made:
            made[name] = library_splitter(name) if name else _spacy("xx")
        return made[name](text)

    return split


def _stanza() -> WordSplitter:
    stanza = _library("stanza", "stanza", "stanza")
    language, made = _language_of(42), dict[str, Any]()

    def pipeline(code: str) -> Any:
        if code not in made:
            try:
                made[code] = stanza.Pipeline(
                    code, processors="tokenize", verbose=False, download_method=None
                )
            except Exception:  # stanza raises its own and the file system's
                made[code] = None
        return made[code]

    def split(text: str) -> list[tuple[int, int]]:
        code = language(text).partition("-")[0] or "en"
        found = pipeline(code) or pipeline("en")
        if found is None:
            raise BackendError(
                f"stanza has no model for the language {code!r}, nor for English: run "
                f"stanza.download({code!r}, processors='tokenize') once"
            )
        return covering(text, _stanza_words(found(text)))

    return split


def _stanza_words(document: Any) -> Iterator[tuple[int, int]]:
    """Yield the places of words; those of a contraction that have none stay one word."""
    for sentence in document.sentences:
        for token in sentence.tokens:
            words = [w for w in token.words if w.start_char is not None]
            whole = len(words) < len(token.words)
            for part in [token] if whole else words:
                yield part.start_char, part.end_char


LIBRARY_SPLITTERS: dict[str, Callable[[], WordSplitter]] = {
    "spacy": _spacy,
    "jieba": _jieba,
    "mecab": _mecab,
    "janome": _janome,
    "camel": _camel,
    "hindi": _hindi,
    "universal": _universal,
    "stanza": _stanza,
    "pythainlp": _thai,
}
"""Makers of splitters by the names of published configurations, and Thai."""

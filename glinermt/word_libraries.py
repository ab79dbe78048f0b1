"""Word splitters made from the tokenizers of other libraries, for scripts without spaces.

A library is imported when its splitter is first made. What it leaves out of a text is split as
published GLiNER checkpoints do, so that no character is lost.
"""

import importlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from glinermt.errors import BackendError, ConfigError, UsageError, unknown_choice
from glinermt.words import SPLITTERS, WordSplitter, split_reference

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
    """Return the user's splitter with a check of what it gives."""

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

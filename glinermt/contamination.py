"""Texts that two sets of data share, by runs of 13 words (the length GPT-3's authors used).

One normalisation for all: Unicode NFKD without accents and invisible characters, case folded, and
of that only the words (letters, digits, underscores), so that marks and spaces do not count.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Sequence

GRAM = 13
"""Words of a shared run that counts as a leak."""
_IGNORED = re.compile("[\u0300-\u036f\u00ad\u200b-\u200d\u2060\ufeff]")


def words(text: str) -> list[str]:
    """Return the words of a text in the form in which they are compared."""
    plain = _IGNORED.sub("", unicodedata.normalize("NFKD", text)).casefold()
    return re.findall(r"\w+", plain)


def grams(text_words: Sequence[str], size: int = GRAM) -> Iterator[bytes]:
    """Yield a hash of 8 bytes for each run of ``size`` words; nothing for a shorter text."""
    for first in range(len(text_words) - size + 1):
        run = " ".join(text_words[first : first + size])
        yield hashlib.blake2b(run.encode("utf-8", "surrogatepass"), digest_size=8).digest()

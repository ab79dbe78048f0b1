"""Sentence borders with exact character offsets (sentencex, by the Wikimedia Foundation)."""


def split_sentences(text: str, language: str = "en") -> list[tuple[int, int]]:
    """Give ``(start, end)`` of each sentence, without the white space around it.

    Args:
        text: any text; blank lines end a sentence.
        language: ISO 639-1 code, for abbreviations and sentence marks.
    """
    from sentencex import get_sentence_boundaries

    borders = []
    for found in get_sentence_boundaries(language, text):
        start, end = found["start_index"], found["end_index"]
        piece = text[start:end]
        start += len(piece) - len(piece.lstrip())
        end -= len(piece) - len(piece.rstrip())
        if start < end:
            borders.append((start, end))
    return borders

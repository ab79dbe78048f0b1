"""pandas: ``import glinermt.integrations.pandas`` adds ``df.glinermt.extract("text", labels)``."""

from typing import Any

import pandas

from glinermt.tasks import extract_entities

COLUMNS = ["start", "end", "text", "label", "score"]


@pandas.api.extensions.register_dataframe_accessor("glinermt")
class GlinerMTAccessor:
    """What ``df.glinermt`` is."""

    def __init__(self, frame: pandas.DataFrame) -> None:
        self._frame = frame

    def extract(self, column: str, labels: Any, **options: Any) -> pandas.DataFrame:
        """Return a row for each entity, under the index of the row it was found in.

        Rows without a text (missing values) have no entities.

        Args:
            column: the column of texts.
            labels: entity types, as ``extract_entities`` takes them.
            options: those of ``extract_entities``, such as ``threshold`` and ``model``.

        Raises:
            KeyError: there is no such column.
            TypeError: a value of the column is neither text nor missing.
        """
        texts = self._frame[column].dropna()
        found = extract_entities(texts.tolist(), labels, **options)
        rows = [
            (place, span.start, span.end, span.text, span.label, span.score)
            for place, spans in zip(texts.index, found, strict=True)
            for span in spans
        ]
        index = pandas.Index([row[0] for row in rows], name=self._frame.index.name)
        return pandas.DataFrame([row[1:] for row in rows], columns=COLUMNS, index=index)

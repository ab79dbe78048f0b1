"""pandas: ``import glinermt.integrations.pandas`` adds ``df.glinermt.extract("text", labels)``."""

from collections.abc import Hashable
from typing import Any

from glinermt.errors import UsageError, named_extra, unknown_choice
from glinermt.tasks import extract_entities

with named_extra():
    import pandas

COLUMNS = {"start": "int64", "end": "int64", "text": str, "label": str, "score": "float64"}
"""The columns of a result and their types, which one without a row has, too."""


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
            TypeError: it is not one column, or a value of it is neither text nor missing.
            ValueError: there is no such column.
        """
        texts = self._column(column).dropna()
        for place, text in texts.items():
            if not isinstance(text, str):
                raise TypeError(
                    f"column {column!r}, row {place!r}: a text must be str, got "
                    f"{type(text).__name__} {text!r:.80}"
                )
        found = extract_entities(texts.tolist(), labels, **options)
        rows = [
            (span.start, span.end, span.text, span.label, span.score)
            for spans in found
            for span in spans
        ]
        index = texts.index.repeat([len(spans) for spans in found])
        return pandas.DataFrame(rows, columns=list(COLUMNS), index=index).astype(COLUMNS)

    def _column(self, name: Any) -> Any:
        if not isinstance(name, Hashable):
            raise TypeError(
                f"column must be the name of one column, got {name!r:.80}; write "
                'df.glinermt.extract("text", labels)'
            )
        if name not in self._frame.columns:
            raise UsageError(unknown_choice("column", name, map(str, self._frame.columns)))
        column = self._frame[name]
        if column.ndim != 1:
            raise TypeError(f"the frame has several columns called {name!r}; rename them first")
        return column

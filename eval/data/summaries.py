"""Documents with summaries: JSONL with ``document``/``summary`` or the hub's field names."""

from pathlib import Path

from glinermt.errors import DataError
from glinermt.eval.data.cases import SummaryCase
from glinermt.eval.data.files import field
from glinermt.jsonl import read_jsonl


def read_summaries(path: Path, group: str) -> list[SummaryCase]:
    """Read every document of the file, in the file's order.

    Raises:
        DataError: a row without document or summary, an empty one, or an empty file.
    """
    cases = []
    for number, row in read_jsonl(path):
        where = f"{path}:{number}"
        hub = "article" in row
        text = field(row, "article" if hub else "document", str, where)
        summary = field(row, "highlights" if hub else "summary", str, where)
        if not text.strip() or not summary.strip():
            raise DataError(f"{where}: the document or its summary is empty")
        cases.append(SummaryCase(str(row.get("id", number)), group, text, summary))
    if not cases:
        raise DataError(f"{path}: holds no document")
    return cases

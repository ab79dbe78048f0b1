"""Any folder of entity sets: the 20-set and UniversalNER benchmarks, MultiCoNER's languages."""

from pathlib import Path

from glinermt.errors import DataError
from glinermt.eval.benchmarks.entity_files import EntityBenchmark
from glinermt.eval.data.cases import NerCase
from glinermt.eval.data.ner import read_ner
from glinermt.eval.protocol import Entry, Options

SUFFIXES = (".jsonl", ".txt", ".bio", ".conll", ".iob2")


def ner20(options: Options) -> EntityBenchmark:
    """Return the benchmark."""
    return EntityBenchmark(
        name="ner20",
        protocol=(
            "Every file below the folder whose name has '.test', or is 'test', is a set, CoNLL/BIO "
            "columns or JSONL; tokens joined by one space.",
            "Every text is asked all labels its whole file has, as they are written there.",
            "Sets with overlapping gold spans are asked for nested spans.",
            "A span is right if its characters and label are (strict); micro P/R/F1 a set, and "
            "the plain mean over the sets.",
        ),
        read=_read,
        threshold=options.threshold,
        choices={},
    )


def _read(folder: Path) -> list[NerCase]:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; pass the folder of the data with --data")
    cases: list[NerCase] = []
    groups: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        name = path.name.removesuffix(".xz").removesuffix(".gz")
        parts = name.split(".")
        if not name.endswith(SUFFIXES) or "test" not in parts:
            continue
        group = parts[0] if parts[0] != "test" else path.parent.name
        if group in groups:
            raise DataError(f"{path}: set {group!r} is also {groups[group]}; rename one")
        groups[group] = path
        cases.extend(read_ner(path, group))
    if not cases:
        raise DataError(f"{folder}: no file such as NAME.test.jsonl or NAME/test.txt")
    return cases


ENTRY = Entry(ner20, own_data=True)

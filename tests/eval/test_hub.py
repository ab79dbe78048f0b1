"""Hub data sets become the files that the readers know."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from datasets import ClassLabel, Dataset, Features, Sequence, Value

from glinermt.errors import BackendError
from glinermt.eval.benchmarks import BENCHMARKS, entry, make_benchmark
from glinermt.eval.benchmarks.crossner import CROSSNER_SETS
from glinermt.eval.data.hub import HubSet
from glinermt.eval.data.hub import fetch as fetch_sets
from glinermt.eval.protocol import Options

OPTIONS = Options(sets=CROSSNER_SETS)
ON_HUB = [name for name in BENCHMARKS if entry(name).hub]


def hub_sets(name: str, options: Options = OPTIONS) -> Mapping[str, HubSet]:
    sets = entry(name).hub
    assert sets is not None
    return sets(options)


def fetch(name: str, folder: Path, *, load: Any = None) -> Path:
    return fetch_sets(hub_sets(name), folder, load=load)


TAGS = ["O", "B-person", "I-person", "B-politicalparty", "B-misc"]
ENTITIES = Dataset.from_dict(
    {"tokens": [["Ann", "Lee", "met", "Labour"]], "ner_tags": [[1, 2, 0, 3]]},
    features=Features(
        {"tokens": Sequence(Value("string")), "ner_tags": Sequence(ClassLabel(names=TAGS))}
    ),
)
ROWS: dict[str, Any] = {
    "DFKI-SLT/cross_ner": ENTITIES,
    "rajpurkar/squad_v2": Dataset.from_list(
        [
            {
                "id": "1",
                "title": "Rome",
                "context": "Rome is old.",
                "question": "What is old?",
                "answers": {"text": ["Rome"], "answer_start": [0]},
            }
        ]
    ),
    "thunlp/few_rel": Dataset.from_list(
        [
            {
                "relation": "P17",
                "tokens": ["Rome", "is", "in", "Italy"],
                "head": {"text": "rome", "type": "Q220", "indices": [[0]]},
                "tail": {"text": "italy", "type": "Q38", "indices": [[3]]},
                "names": ["country", "sovereign state of this item"],
            }
        ]
    ),
    "abisee/cnn_dailymail": Dataset.from_list(
        [{"id": str(i), "article": "One. Two.", "highlights": "One."} for i in range(1001)]
    ),
}


def load(repo: str, config: str | None, **how: str) -> Any:
    assert how.keys() == {"split", "revision"}
    assert config != ""
    return ROWS[repo]


def cases(name: str, folder: Path) -> list[Any]:
    options = Options(sets=("politics",))
    return list(make_benchmark(name, options).load(fetch(name, folder, load=load)))


def test_each_benchmark_reads_what_the_hub_gave(tmp_path: Path) -> None:
    [entities] = cases("crossner", tmp_path / "a")
    assert [(s.text, s.label) for s in entities.spans] == [
        ("Ann Lee", "person"),
        ("Labour", "political party"),
    ]
    [question] = cases("squad2", tmp_path / "b")
    assert (question.question, question.answers) == ("What is old?", ("Rome",))
    pair = cases("fewrel", tmp_path / "c")[0]
    assert (pair.head.text, pair.relation, pair.tail.text) == ("Rome", "country", "Italy")
    documents = cases("cnn_dm", tmp_path / "d")
    assert len({case.id for case in documents}) == len(documents) == 2000  # in two modes


def test_what_is_there_is_not_asked_for_again(tmp_path: Path) -> None:
    fetch("crossner", tmp_path, load=load)

    def never(*_: object, **__: object) -> None:
        raise AssertionError

    assert fetch("crossner", tmp_path, load=never) == tmp_path
    assert len(list(tmp_path.iterdir())) == len(CROSSNER_SETS)


def test_a_failing_hub_is_named_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ConnectionError("no route")

    with pytest.raises(BackendError, match=r"rajpurkar/squad_v2@.*no route"):
        fetch("squad2", tmp_path, load=broken)
    assert not list(tmp_path.iterdir())


def test_all_but_one_revision_are_commits() -> None:
    revisions = {source.revision for name in ON_HUB for source in hub_sets(name).values()}
    assert sum(len(revision) == 40 for revision in revisions) == len(revisions) - 1


@pytest.mark.network
@pytest.mark.parametrize("name", ON_HUB)
def test_the_hub_still_has_them(name: str, tmp_path: Path) -> None:
    options = Options(sets=CROSSNER_SETS)
    assert make_benchmark(name, options).load(fetch(name, tmp_path))

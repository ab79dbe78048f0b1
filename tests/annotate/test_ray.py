"""The jobs on a real Ray cluster of this machine: several worker processes, one of them killed."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from glinermt.annotate import Engine, annotate
from glinermt.annotate.job import Job
from glinermt.annotate.ray import Extract, on_ray
from glinermt.tasks import extract_entities
from tests.annotate.jobs import LABELS

ray = pytest.importorskip("ray")
pytestmark = [
    pytest.mark.extras,
    pytest.mark.filterwarnings("ignore"),  # Ray's own
    pytest.mark.usefixtures("cluster"),
]

TEXTS = [f"bill gates founded microsoft in paris number {i}." for i in range(24)]
TWO = Engine("ray", workers=(2, 2))


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    try:
        ray.init(num_cpus=2, log_to_driver=False, include_dashboard=False)
    except (
        Exception
    ) as error:  # Ray gives its own processes 30 seconds, which a busy machine exceeds
        pytest.skip(f"no cluster of Ray starts here: {error!r:.200}")
    yield
    ray.shutdown()


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "texts.jsonl"
    rows = [*({"text": text} for text in TEXTS), {"text": None}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("part-*"))}


def test_ray_writes_the_shards_that_the_local_engine_writes_and_a_killed_worker_loses_none(
    tmp_path: Path, texts: Path, model: str
) -> None:
    killed: list[int] = []

    def kill_one(*_: object) -> None:
        if not killed:
            killed.append(our_workers()[0])
            os.kill(killed[0], signal.SIGKILL)

    settings: dict[str, Any] = {"model": model, "shard_rows": 2}
    ours = annotate(
        texts, tmp_path / "ray", "entities", LABELS, engine=TWO, watch=kill_one, **settings
    )
    local = annotate(texts, tmp_path / "local", "entities", LABELS, **settings)
    assert killed
    assert shards(tmp_path / "ray") == shards(tmp_path / "local")
    assert len(shards(tmp_path / "ray")) == 13
    assert (ours.counts.rows, ours.counts.errors) == (local.counts.rows, local.counts.errors)
    rows = [row for p in (tmp_path / "ray").glob("part-*") for row in pq.read_table(p).to_pylist()]
    assert sorted(row["row"] for row in rows) == list(range(25))


def our_workers() -> list[int]:
    """Return the processes of actors of the cluster that this process began (Linux)."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            name = (place / "cmdline").read_bytes()
            raylet = parent(place)
            ours = name.startswith(b"ray::MapWorker") and parent(raylet) == Path(
                f"/proc/{os.getpid()}"
            )
        except OSError:  # it ended meanwhile
            continue
        if ours and name.startswith(b"ray::MapWorker"):
            found.append(int(place.name))
    return found


def parent(process: Path) -> Path:
    lines = (process / "status").read_text().splitlines()
    (number,) = (line.split()[1] for line in lines if line.startswith("PPid:"))
    return Path("/proc") / number


def test_extract_adds_columns_in_a_pipeline_of_ones_own(model: str) -> None:
    rows = [{"text": text} for text in TEXTS[:6]] + [{"text": None}]
    found = (
        ray.data.from_items(rows)
        .map_batches(
            Extract,
            fn_constructor_kwargs={"task": "entities", "arguments": LABELS, "model": model},
            concurrency=1,
            batch_size=4,
        )
        .take_all()
    )
    assert [row["status"] for row in found].count("ok") == 6
    (broken,) = (row for row in found if row["text"] is None)
    assert broken["status"] == "error"
    assert broken["error"]
    wanted = [span.to_dict() for span in extract_entities(TEXTS[0], **LABELS, model=model)]
    (first,) = (row for row in found if row["text"] == TEXTS[0])
    assert [{**span, "score": pytest.approx(span["score"], abs=1e-5)} for span in wanted] == list(
        first["result"]
    )


def test_more_gpus_than_the_cluster_has_are_told_before_the_job_waits_for_them(model: str) -> None:
    job = Job(("nothing.jsonl",), "entities", LABELS, model=model)
    with pytest.warns(UserWarning, match="asks for 1000 GPUs and the Ray cluster has"):
        assert not list(on_ray([], job, "out", retry=False, workers=(1, 1), gpus=1000))


def extract(rows: list[dict[str, Any]], model: str, **options: Any) -> Any:
    """Ask for the entities of a data set's rows; Ray makes them when they are taken."""
    given = {"task": "entities", "arguments": LABELS, "model": model}
    how = {name: options.pop(name) for name in ("batch_format",) if name in options}
    return ray.data.from_items(rows).map_batches(
        Extract, fn_constructor_kwargs={**given, **options}, concurrency=1, **how
    )


@pytest.mark.parametrize("form", ["numpy", "pandas", "pyarrow"])
def test_extract_keeps_columns_that_are_called_as_its_own(model: str, form: str) -> None:
    rows = [{"text": TEXTS[0], "result": 7, "status": "draft"}]
    (row,) = extract(rows, model, batch_format=form).take_all()
    assert (row["input_result"], row["input_status"], row["status"]) == (7, "draft", "ok")
    assert len(row["result"]) == len(extract_entities(TEXTS[0], **LABELS, model=model))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"arguments": {"lables": ["person"]}}, "missing a required argument: 'labels'"),
        ({"field": "body"}, "unknown field 'body'"),
    ],
)
def test_extract_refuses_what_would_fail_for_every_row(
    model: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(Exception, match=message):  # of Ray, around ours
        extract([{"text": TEXTS[0]}], model, **options).take_all()

"""Jobs whose input and output are in an object store: in memory, and S3 as moto serves it."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow.parquet as pq
import pytest

from glinermt.annotate import Engine, annotate
from glinermt.errors import ConfigError, DataError
from tests.annotate.jobs import LABELS, TEXTS
from tests.tiny_models import tiny_model

LINES = "".join(json.dumps({"text": text}) + "\n" for text in [*TEXTS, None]).encode()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("model")
    tiny_model(tmp_path_factory.mktemp("encoder"), kind="bert").save_pretrained(folder)
    return str(folder)


def test_an_object_store_can_hold_input_and_output(model: str) -> None:
    store = fsspec.filesystem("memory")
    store.pipe_file("/bucket/in.jsonl", LINES)
    settings = {"model": model, "shard_rows": 9}
    for _ in range(2):
        report = annotate(
            "memory://bucket/in.jsonl", "memory://bucket/out", "entities", LABELS, **settings
        )
        assert (report.counts.rows, report.counts.errors) == (24, 1)
    assert len(store.glob("/bucket/out/part-*.parquet")) == 3
    assert store.exists("/bucket/out/report.json")


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[fsspec.AbstractFileSystem]:
    """Set the environment as a user of a store of one's own does, beside a server of moto."""
    pytest.importorskip("moto", reason="needs moto[server], which constraints.txt leaves out")
    pytest.importorskip("s3fs", reason="needs s3fs")
    from tests.serve.running import free_port

    port = free_port()
    address = f"http://127.0.0.1:{port}"
    for name, value in {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{address}/moto-api/", timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        fsspec.get_filesystem_class("s3").clear_instance_cache()  # of another server's address
        store = fsspec.filesystem("s3")
        store.mkdir("bucket")
        yield store
    finally:
        server.terminate()
        server.wait()


@pytest.mark.extras
@pytest.mark.filterwarnings("ignore")  # those of the S3 client
@pytest.mark.parametrize("engine", [Engine(), Engine(devices=("cpu", "cpu"))], ids=["one", "two"])
def test_s3_holds_the_same_bytes_as_a_folder(
    engine: Engine, tmp_path: Path, model: str, s3: fsspec.AbstractFileSystem
) -> None:
    s3.pipe_file("bucket/in/a.jsonl", LINES)
    settings = {"model": model, "shard_rows": 9}
    report = annotate("s3://bucket/in/", "s3://bucket/out", "entities", LABELS, **settings)
    assert (report.counts.rows, report.counts.errors) == (24, 1)
    shards = sorted(s3.ls("bucket/out/"))
    names = [place.rsplit("/", 1)[-1] for place in shards if "/part-" in place]
    assert len(names) == 3

    s3.rm(f"bucket/out/{names[1]}")  # as a job that was killed leaves it
    done: list[int] = []
    annotate(
        "s3://bucket/in/",
        "s3://bucket/out",
        "entities",
        LABELS,
        engine=engine,
        watch=lambda _, number, __: done.append(number),
        **settings,
    )
    assert done == [3]

    (tmp_path / "a.jsonl").write_bytes(LINES)
    annotate(tmp_path / "a.jsonl", tmp_path / "out", "entities", LABELS, **settings)
    for name in names:
        with s3.open(f"bucket/out/{name}", "rb") as file:
            there = pq.read_table(file).drop_columns(["source"])
        assert there.equals(pq.read_table(tmp_path / "out" / name).drop_columns(["source"]))
    with pytest.raises(ConfigError, match="holds another job"):
        annotate("s3://bucket/in/", "s3://bucket/out", "matches", {"instruction": "x"}, **settings)
    with pytest.raises(DataError, match="no such file or folder"):
        annotate("s3://bucket/nothing/", "s3://bucket/other", "entities", LABELS, **settings)

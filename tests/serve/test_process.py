"""Real server processes: stopping, clients that go away, several workers."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="needs the extra [serve]")

import httpx2 as httpx
import uvicorn

from glinermt.serve.process import Worker
from tests.serve.running import free_port
from tests.tiny_models import tiny_model

pytestmark = pytest.mark.extras
ROOT = Path(__file__).parents[2]
LABELS = ["person", "city"]
LONG = "the person bill gates founded microsoft in paris. " * 400


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an exported tiny model, with which a server starts without torch."""
    pytest.importorskip("onnx", reason="needs the extra [export]")
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny_model(folder.with_name("encoder"), kind="bert").export_onnx(folder)
    return folder


class Server:
    """A server process, its client, and its log."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path, port: int) -> None:
        self.process, self._log = process, log
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)
        self.port = port

    @property
    def log(self) -> str:
        return self._log.read_text()

    def ask(self, text: str | list[str], **options: Any) -> httpx.Response:
        body = {"text": text, "labels": LABELS, **options}
        return self.client.post("/v1/entities", json=body)

    def until(self, condition: Callable[[], Any]) -> None:
        end = time.monotonic() + 300
        while not condition():
            assert time.monotonic() < end, self.log
            assert self.process.poll() is None, self.log
            time.sleep(0.05)

    def is_ready(self) -> bool:
        try:
            return self.client.get("/ready").status_code == 200
        except httpx.TransportError:
            return False

    def metric(self, name: str) -> float:
        lines = self.client.get("/metrics").text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


@contextmanager
def serving(model: Path, tmp_path: Path, *options: str) -> Iterator[Server]:
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "glinermt",
        "serve",
        "--port",
        str(port),
        "--model",
        str(model),
    ]
    log = tmp_path / "log"
    with log.open("wb") as file:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(
            [*command, *options], cwd=ROOT, stderr=file, stdout=file, env=environment
        )
    server = Server(process, log, port)
    try:
        server.until(server.is_ready)
        yield server
    finally:
        process.terminate()
        process.wait(60)
        server.client.close()


def test_a_stopped_server_finishes_what_it_took(model: Path, tmp_path: Path) -> None:
    with serving(model, tmp_path) as server, ThreadPoolExecutor(1) as pool:
        taken = pool.submit(server.ask, [LONG] * 4)
        server.until(lambda: server.metric("glinermt_requests_open") == 2)
        server.process.send_signal(signal.SIGTERM)
        assert taken.result(120).status_code == 200
        server.process.wait(60)
        assert server.process.returncode == 128 + signal.SIGTERM  # as all commands
        assert "Traceback" not in server.log


def test_what_a_client_that_went_away_asked_is_dropped(model: Path, tmp_path: Path) -> None:
    with serving(model, tmp_path, "--batch-tokens", "5000") as server:
        body = json.dumps({"text": [LONG] * 300, "labels": LABELS}).encode()
        head = "POST /v1/entities HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            server.until(lambda: server.metric("glinermt_batch_seconds_count") >= 1)
        server.until(lambda: '"status": 499' in server.log)
        read = server.metric("glinermt_batch_tokens_sum")
        assert read < 300 * len(LONG) / 4 / 2
        assert server.ask("bill gates").status_code == 200


def test_workers_share_the_port_and_add_up_their_numbers(model: Path, tmp_path: Path) -> None:
    with serving(model, tmp_path, "--workers", "2") as server:
        alone = server.ask("bill gates in paris").json()
        for _ in range(20):
            with httpx.Client(base_url=server.client.base_url) as fresh:
                body = {"text": "bill gates in paris", "labels": LABELS}
                assert fresh.post("/v1/entities", json=body).json() == alone
        assert server.metric('glinermt_texts_total{path="/v1/entities"}') == 21


def test_a_killed_worker_is_replaced(model: Path, tmp_path: Path) -> None:
    with serving(model, tmp_path, "--workers", "2") as server:
        children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
        if not children.exists():
            pytest.skip("needs /proc to find the workers")
        before = set(children.read_text().split())
        with ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(server.ask, [LONG] * 4) for _ in range(4)]
            server.until(lambda: server.metric("glinermt_requests_open") >= 5)
            os.kill(int(sorted(before)[-1]), signal.SIGKILL)
            server.until(lambda: len(set(children.read_text().split()) - before) >= 1)
        server.until(server.is_ready)
        assert server.ask("bill gates").status_code == 200
        failed = sum(isinstance(one.exception(), httpx.TransportError) for one in asked)
        assert server.metric("glinermt_requests_open") == 1, f"{failed} requests died"


def test_a_worker_that_dies_while_it_is_asked_whether_it_lives_is_not_waited_for() -> None:
    class Dying:
        lives = iter((True, False))

        def is_alive(self) -> bool:
            return next(self.lives)

    worker = Worker(uvicorn.Config("never:loaded"), [])
    worker.process = Dying()  # type: ignore[assignment]
    assert not worker.is_alive(timeout=3600)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_model_that_is_not_there_is_one_line(workers: str, tmp_path: Path) -> None:
    options = ["--model", str(tmp_path / "none"), "--workers", workers, "--port", str(free_port())]
    command = [sys.executable, "-m", "glinermt", "serve", *options]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "none: no such folder here" in done.stderr.splitlines()[-1]

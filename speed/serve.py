"""How many requests a second the server answers, and how long they take.

    python speed/serve.py --seconds 10 --clients 1 8 64

starts ``glinermt serve`` on the loopback, with and without batching; with ``--peer`` also the usual
few lines of FastAPI around the package ``gliner``, with the same weights. ``--work`` tells what
sharing batches saves, on one thread; ``--memory N`` sends N requests and tells the server's memory.
"""

import argparse
import asyncio
import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import httpx2 as httpx

SENTENCES = (Path(__file__).parent / "sentences.txt").read_text(encoding="utf-8").splitlines()
LABELS = ["person", "organization", "city", "country", "date"]
SETTINGS = {
    "batches": [],
    "no batches": ["--batch-tokens", "1", "--max-wait-ms", "0"],
}
"""With one token a batch, every query is one of its own."""


OURS = [sys.executable, "-m", "glinermt", "serve"]
PEER = "gliner in FastAPI"


@contextmanager
def serving(server: list[str]) -> Iterator[tuple[str, int]]:
    """Run a server's command on a free port; yields its address and process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([*server, "--port", str(port)], stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                if httpx.get(f"{address}/ready").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.2)
        yield address, process.pid
    finally:
        process.terminate()
        process.wait()


def bodies() -> Iterator[bytes]:
    """Yield requests of one to three sentences, without end."""
    for i in itertools.count():
        texts = [SENTENCES[(i * 7 + j) % len(SENTENCES)] for j in range(1 + i % 3)]
        yield json.dumps({"text": " ".join(texts), "labels": LABELS}).encode()


async def load(address: str, clients: int, seconds: float, most: int) -> list[float]:
    """Return what each request took, of so many clients that ask again once answered."""
    took: list[float] = []
    until = time.perf_counter() + seconds
    given = bodies()

    async def client(session: httpx.AsyncClient) -> None:
        while time.perf_counter() < until and len(took) < most:
            began = time.perf_counter()
            reply = await session.post(
                "/v1/entities",
                content=next(given),
                headers={"Content-Type": "application/json"},
            )
            reply.raise_for_status()
            took.append(time.perf_counter() - began)

    # One session, a connection a client: each of its own would take its time to begin.
    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(base_url=address, timeout=60, limits=limits) as session:
        await asyncio.gather(*(client(session) for _ in range(clients)))
    return took


def megabytes(process: int) -> float:
    """Return a process's memory."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def cpu_seconds(process: int) -> float:
    """Return the processor time that a process has had."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def serve_peer(folder: Path, port: int) -> None:
    """Answer as ``glinermt serve`` does, with the package gliner: a call of the model a request."""
    import uvicorn
    from contest import their_saved_model
    from fastapi import FastAPI

    app = FastAPI()
    model = their_saved_model(folder)

    @app.get("/ready")
    def ready() -> str:
        return "ready"

    @app.post("/v1/entities")
    def entities(body: dict[str, Any]) -> Any:
        return model.predict_entities(body["text"], body["labels"])

    uvicorn.run(app, port=port, log_level="error")


@contextmanager
def peer_command() -> Iterator[list[str]]:
    """Write the shipped weights for the package gliner; yields the command that serves them."""
    from contest import contest

    with tempfile.TemporaryDirectory() as folder:
        saved = contest("shipped", Path(folder) / "shipped").folder
        yield [sys.executable, __file__, "--serve-peer", str(saved)]


def compare(clients: list[int], seconds: float, servers: dict[str, list[str]]) -> None:
    """Print a row for each server and number of clients."""
    print("| setting | clients | requests/s | p50 ms | p95 ms | p99 ms | processor ms a request |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name, command in servers.items():
        with serving(command) as (address, process):
            asyncio.run(load(address, 4, 2, 100))  # warm
            for number in clients:
                began, busy = time.perf_counter(), cpu_seconds(process)
                took = asyncio.run(load(address, number, seconds, 100_000))
                busy = 1000 * (cpu_seconds(process) - busy) / len(took)
                rate = len(took) / (time.perf_counter() - began)
                cuts = statistics.quantiles([1000 * t for t in took], n=100)
                p50, p95, p99 = cuts[49], cuts[94], cuts[98]
                row = f"{rate:.1f} | {p50:.1f} | {p95:.1f} | {p99:.1f} | {busy:.1f}"
                print(f"| {name} | {number} | {row} |", flush=True)


def work(model: list[str]) -> None:
    """Print the processor time of a request's query alone and in batches, on one thread.

    It says what sharing batches saves, also on a machine that others use at the same time.
    """
    import torch

    from glinermt.default_model import load_extractor
    from glinermt.types import Query

    torch.set_num_threads(1)
    extractor = load_extractor(model[-1] if model else None)
    given = bodies()
    queries = [Query(json.loads(next(given))["text"], tuple(LABELS)) for _ in range(64)]
    extractor.extract(queries[:8])  # warm
    print("| requests a batch | processor ms a request |")
    print("|---:|---:|")
    for size in (1, 8, 64):
        began = time.process_time()
        for i in range(0, len(queries), size):
            extractor.extract(queries[i : i + size])
        print(f"| {size} | {1000 * (time.process_time() - began) / len(queries):.1f} |", flush=True)


def memory(requests: int, model: list[str]) -> None:
    """Print the server's memory after each tenth of the requests."""
    with serving([*OURS, *model]) as (address, process):
        asyncio.run(load(address, 8, 600, 200))
        print(f"after 200 requests: {megabytes(process):.0f} MB")
        for tenth in range(1, 11):
            asyncio.run(load(address, 8, 600, requests // 10))
            print(f"after {tenth * requests // 10}: {megabytes(process):.0f} MB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--model", help="folder or hub id; the shipped model without")
    parser.add_argument("--work", action="store_true", help="what batches save, on one thread")
    parser.add_argument("--memory", type=int, metavar="REQUESTS")
    parser.add_argument("--peer", action="store_true", help="also FastAPI around gliner")
    parser.add_argument("--serve-peer", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    model = ["--model", given.model] if given.model else []
    if given.serve_peer:
        serve_peer(given.serve_peer, given.port)
    elif given.work:
        work(model)
    elif given.memory:
        memory(given.memory, model)
    else:
        servers = {name: [*OURS, *model, *options] for name, options in SETTINGS.items()}
        with peer_command() if given.peer else nullcontext() as peer:
            compare(given.clients, given.seconds, servers | ({PEER: peer} if peer else {}))


if __name__ == "__main__":
    main()

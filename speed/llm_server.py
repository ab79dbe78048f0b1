"""How busy the factory keeps a server: a stub that answers after 50 to 500 ms, 200 at a time.

    python speed/llm_server.py --rows 20000

The stub runs in a process of its own on this machine, never has more than ``--at-once`` requests
under way, and counts how many it had on average until the last one came, after which there is
nothing left to keep it busy with: what it could have had is its ceiling. Processor
time (with the plan) and peak memory are those of the factory's process. Where the processor is the
limit, slower replies (``--least 1 --most 10``) tell what waiting costs, and the processor time how
many rows a second it could do.
"""

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import random
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from glinermt.synth.card import write_report
from glinermt.synth.engines import asking
from glinermt.synth.engines.ask import Work
from glinermt.synth.generate import Options, generate
from glinermt.synth.report import Prices
from glinermt.synth.settings import Settings

MARKS = 10
REPLY = {"entities": [], "absent": ["river", "ship", "song"]}


class Stub:
    """Chat completions after a random time; keeps connections open."""

    def __init__(self, least: float, most: float) -> None:
        self.requests: list[tuple[float, float]] = []
        """When each came and how long it took."""
        self._draw = random.Random(0)
        self._delays = (least, most)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(
            asyncio.IncompleteReadError, ConnectionError
        ):  # the other side hung up
            await self._answer(reader, writer)
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            if b"GET /stop" in head:
                body = json.dumps(self.found())
            else:
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
                delay = self._draw.uniform(*self._delays)
                self.requests.append((time.perf_counter(), delay))
                await asyncio.sleep(delay)
                message = {"choices": [{"message": {"content": json.dumps(REPLY)}}]}
                body = json.dumps(message)
            answer = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}"
            writer.write(answer.encode())
            await writer.drain()

    def found(self) -> dict[str, float]:
        """Return the rows, and for the time until the last one came its length and the work."""
        first, last = self.requests[0][0], self.requests[-1][0]
        busy = sum(min(delay, last - came) for came, delay in self.requests)
        return {"rows": len(self.requests), "busy": busy, "seconds": last - first}


def serve(port: "multiprocessing.Queue[int]", least: float, most: float) -> None:
    stub = Stub(least, most)

    async def run() -> None:
        server = await asyncio.start_server(stub.serve, "127.0.0.1", 0)
        port.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--at-once", type=int, default=200)
    parser.add_argument("--least", type=float, default=0.05, help="Seconds of the shortest reply.")
    parser.add_argument("--most", type=float, default=0.5, help="Seconds of the longest.")
    given = parser.parse_args()
    port: multiprocessing.Queue[int] = multiprocessing.Queue()
    server = multiprocessing.Process(target=serve, args=(port, given.least, given.most))
    server.daemon = True
    server.start()
    url = f"http://127.0.0.1:{port.get()}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (folder / "texts.txt").open("w") as file:
            for i in range(given.rows):
                words = " ".join(f"word{i}x{j}" for j in range(40))
                file.write(f"{words}\n")
        settings = Settings(
            texts=(str(folder / "texts.txt"),), llm="openai", model="stub", tasks=("entities",),
            similarity=1.0,
        )  # fmt: skip
        options = {"base_url": url, "concurrency": given.at_once, "dialect": "json_schema"}
        ask, window = asking("local", Work(settings, options, batch=100))
        peaks: list[int] = []

        def progress(done: int, total: int) -> None:
            if done >= total * (len(peaks) + 1) / MARKS:
                peaks.append(_peak_mib())

        before = time.process_time()
        generate(settings, folder / "out", ask, options=Options(window=window), progress=progress)
        spent = time.process_time() - before
        write_report(folder / "out", settings, prices=Prices())
        print(json.dumps(_found(url, given.at_once, spent) | {"peak_mib_each_tenth": peaks}))


def _found(url: str, at_once: int, spent: float) -> dict[str, Any]:
    with urlopen(f"{url}/stop") as answer:
        stub = json.load(answer)
    return {
        "rows": stub["rows"],
        "share_of_ceiling": round(stub["busy"] / (at_once * stub["seconds"]), 3),
        "rows_per_second": round(stub["rows"] / stub["seconds"], 1),
        "processor_ms_per_row": round(1000 * spent / stub["rows"], 3),
    }


def _peak_mib() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1 << (20 if sys.platform == "darwin" else 10)))


if __name__ == "__main__":
    main()

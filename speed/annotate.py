"""What annotating costs: processor time a row and peak memory, of short and of long documents.

    python speed/annotate.py --rows 100000 --sentences 1 --processes 1 2
    python speed/annotate.py --rows 1000 --sentences 200 --processes 1 2
    python speed/annotate.py --rows 1000 --engine ray

writes documents of sentences.txt as Parquet, annotates them with the command, and reads processor
time and memory from the system (Linux), so that the numbers say something on a busy machine too.
``--tiny`` takes a random BERT of two layers instead of the shipped weights: what is left then is
mostly the job's own work.
"""

import argparse
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).parents[1]
SENTENCES = (Path(__file__).parent / "sentences.txt").read_text(encoding="utf-8").splitlines()
LABELS = "person|organization|city"
SEED = 0


def write_documents(path: Path, rows: int, sentences: int) -> int:
    """Write the documents, a thousand at a time; return their words."""
    chance = random.Random(SEED)
    words = 0
    with pq.ParquetWriter(path, pa.schema([("text", pa.string())])) as writer:
        for start in range(0, rows, 1000):
            texts = [
                " ".join(chance.choice(SENTENCES) for _ in range(sentences))
                for _ in range(min(1000, rows - start))
            ]
            words += sum(len(text.split()) for text in texts)
            writer.write_table(pa.table({"text": texts}))
    return words


def tiny_model(folder: Path) -> Path:
    """Write a random model of two layers of 32 units."""
    sys.path.insert(0, str(ROOT))
    from tests.tiny_models import tiny_model as make

    make(folder / "encoder", kind="bert").save_pretrained(folder / "model")
    return folder / "model"


def processes_of(driver: int) -> Iterator[int]:
    """Yield a process and all below it."""
    yield driver
    for thread in Path(f"/proc/{driver}/task").glob("*/children"):
        for child in thread.read_text().split():
            yield from processes_of(int(child))


def megabytes(process: int) -> float:
    """Return the most memory that a process has had so far."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1000


def watch(job: "subprocess.Popen[bytes]") -> tuple[float, float]:
    """Return the most memory of the driver and of any other process of a job, until it ends."""
    most: dict[int, float] = {}
    while job.poll() is None:
        with suppress(OSError, ValueError):  # one ended meanwhile
            most |= {process: megabytes(process) for process in processes_of(job.pid)}
        time.sleep(0.2)
    return most.pop(job.pid, 0.0), max(most.values(), default=0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--sentences", type=int, default=1, help="of each document")
    parser.add_argument("--processes", type=int, nargs="+", default=[1])
    parser.add_argument("--engine", default="local")
    parser.add_argument("--model", help="folder or hub id; the shipped model without")
    parser.add_argument("--tiny", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = tiny_model(folder) if given.tiny else given.model
        words = write_documents(folder / "in.parquet", given.rows, given.sentences)
        print(f"{given.rows:,} documents of {words / given.rows:.0f} words")
        print(
            "| engine | processes | processor ms a row | rows/s by the clock | driver MB "
            "| worker MB |"
        )
        print("|---|---:|---:|---:|---:|---:|")
        for number in given.processes:
            out = folder / f"out{number}"
            command = [sys.executable, "-m", "glinermt", "annotate", str(folder / "in.parquet")]
            command += ["--out", str(out), "--task", "entities", "--labels", LABELS]
            command += ["--engine", given.engine]
            command += ["--workers", *[str(number)] * 2] if given.engine == "ray" else []
            command += ["--processes", str(number)] if given.engine == "local" else []
            command += ["--model", str(model)] if model else []
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            began = time.perf_counter()
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            job = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
            driver, worker = watch(job)
            seconds = time.perf_counter() - began
            if job.returncode:
                sys.exit(f"failed: {' '.join(command)}")
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            # Ray's workers are nobody's children here: their processor time is not to be had.
            cost = "" if given.engine == "ray" else f"{1000 * busy / given.rows:.2f}"
            row = f"{cost} | {given.rows / seconds:.1f}"
            row += f" | {driver:.0f} | {worker:.0f}"
            print(f"| {given.engine} | {number} | {row} |", flush=True)


if __name__ == "__main__":
    main()

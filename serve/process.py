"""The server's processes: one, or several that each load the models."""

import logging
import logging.config
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from prometheus_client.multiprocess import mark_process_dead
from pydantic import BaseModel, ConfigDict
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import multiprocess

from glinermt.default_model import load_model
from glinermt.errors import BackendError, GlinerMTError, UsageError
from glinermt.serve.access import read_keys
from glinermt.serve.app import create_app
from glinermt.serve.service import ServeSettings
from glinermt.types import Extractor

SHIPPED = "glinermt"
"""The name of the model that ships."""
_SETUP = "GLINERMT_SERVE"
"""Where worker processes read how they are set up."""
_FAILURE = "failure"
"""File beside the workers' metrics in which one that cannot start says why."""
START = 60
"""Seconds that a worker process may give no sign before it is taken for dead."""
GRACE = 30
"""Seconds that requests under way have to come to their end when the server is stopped."""


class Models(BaseModel):
    """What to load: names and where each model is."""

    model_config = ConfigDict(frozen=True)

    places: dict[str, str | None]
    precision: str = "auto"
    device: str | None = None

    @classmethod
    def named(cls, given: Sequence[str], *, precision: str, device: str | None) -> "Models":
        """Read ``NAME=place`` or a place, whose last part is the name.

        Raises:
            ValueError: two models have the same name.
        """
        places: dict[str, str | None] = {}
        for item in given:
            name, named, place = item.partition("=")
            if not named:
                name, place = Path(item).name, item
            if not name or not place:
                raise UsageError(f"--model {item!r}: expected a folder or hub id, or NAME=one")
            if name in places:
                raise UsageError(f"two models are called {name!r}; write --model NAME={place}")
            places[name] = place
        return cls(places=places or {SHIPPED: None}, precision=precision, device=device)

    def load(self, threads: int | None = None) -> dict[str, Extractor]:
        """Load the models.

        Args:
            threads: that compute at once in this process; None = as many as there are cores.

        Raises:
            CheckpointError: one is missing or damaged.
            ValueError: a device that is not here, or a precision that it cannot have.
        """
        return {
            name: load_model(place, device=self.device, precision=self.precision, threads=threads)
            for name, place in self.places.items()
        }


class Setup(BaseModel):
    """What each process of a server needs to know."""

    models: Models
    settings: ServeSettings
    api_key_file: Path | None = None
    workers: int = 1

    def app(self, threads: int | None = None) -> FastAPI:
        """Load the models and make the application.

        Raises:
            ConfigError: the file of keys cannot be read, or has no key.
            CheckpointError: a model is missing or damaged.
        """
        keys = read_keys(self.api_key_file) if self.api_key_file else frozenset()
        settings = self.settings.model_copy(update={"api_keys": keys})
        return create_app(self.models.load(threads), settings)


def run(setup: Setup, *, host: str, port: int) -> None:
    """Serve until the process is told to stop.

    Raises:
        ConfigError: the file of keys cannot be read, or has no key.
        CheckpointError: a model is missing or damaged.
        BackendError: one of several workers cannot start, for these reasons or others.
    """
    logging.config.dictConfig(_LOGGING)
    options: dict[str, Any] = {
        "host": host,
        "port": port,
        "access_log": False,
        "log_config": None,
        "server_header": False,
        "timeout_graceful_shutdown": GRACE,
        "timeout_worker_healthcheck": START,
    }
    if setup.workers == 1:
        uvicorn.run(setup.app(), **options)
        return
    with tempfile.TemporaryDirectory(prefix="glinermt-metrics-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        os.environ[_SETUP] = setup.model_dump_json()
        place = f"{__name__}:{worker_app.__name__}"
        multiprocess.Process = Worker  # type: ignore[misc]  # uvicorn has no setting for it
        uvicorn.run(place, factory=True, workers=setup.workers, **options)
        failure = Path(folder, _FAILURE)
        if failure.exists():
            raise BackendError(failure.read_text(encoding="utf-8"))


class Worker(multiprocess.Process):
    """A worker process that is seen to die while it is asked whether it lives.

    A busy worker answers late, so it is asked most of the time; uvicorn would wait for the answer
    of a dead one as long as a worker may take to start. What it had open is no longer counted.
    """

    def join(self) -> None:
        super().join()
        mark_process_dead(self.pid)  # type: ignore[no-untyped-call]

    def is_alive(self, timeout: float = 5) -> bool:
        end = time.monotonic() + timeout
        while self.process.is_alive() and time.monotonic() < end:
            if self.ping(timeout=1):
                return True
        return False


def worker_app() -> FastAPI:
    """Make the application of a worker process.

    Raises:
        SystemExit: it cannot be made; uvicorn would start a worker that raises anything else again
            and again.
    """
    logging.config.dictConfig(_LOGGING)
    setup = Setup.model_validate_json(os.environ[_SETUP])
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        return setup.app(threads=max(1, (cores or 1) // setup.workers))
    except (GlinerMTError, ValueError) as error:
        failure = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"], _FAILURE)
        failure.write_text(str(error), encoding="utf-8")
        raise SystemExit(STARTUP_FAILURE) from error


_LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "loggers": {
        "glinermt.serve": {"level": "INFO", "handlers": ["stderr"], "propagate": False},
        "uvicorn": {"level": "INFO", "handlers": ["stderr"], "propagate": False},
    },
}

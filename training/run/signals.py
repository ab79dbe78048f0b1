"""Ctrl-C and SIGTERM ask for a stop; the loop saves and leaves at the end of the step."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class StopSignal:
    """Whether someone asked to stop."""

    asked: bool = False


@contextmanager
def stop_on_signals() -> Iterator[StopSignal]:
    """Turn the first SIGINT or SIGTERM into ``asked``; a second one acts as ever."""
    stop = StopSignal()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, _: FrameType | None) -> None:
        stop.asked = True
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, ask)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

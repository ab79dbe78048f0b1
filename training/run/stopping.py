"""When a run saves and leaves before its end: a signal asked for it, or its time is up."""

import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from glinermt.errors import UsageError

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_PARTS = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")


class Stop:
    """Asked after every step whether to go on.

    Args:
        after: seconds from now, None = no limit.
    """

    def __init__(self, after: float | None = None) -> None:
        self.signal: int | None = None
        """The signal that asked, None where none did."""
        self.early = False
        """Whether a run has ended before its end because of this."""
        self._end = None if after is None else time.monotonic() + after

    @property
    def asked(self) -> bool:
        late = self._end is not None and time.monotonic() >= self._end
        return self.signal is not None or late

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Take the first SIGINT or SIGTERM as asking; a second one acts as it did before.

        Only Python's main thread may have signals; in another one nothing changes.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        found = {number: signal.getsignal(number) for number in SIGNALS}
        before = {number: handler for number, handler in found.items() if handler is not None}

        def ask(number: int, _: FrameType | None) -> None:
            self.signal = number
            signal.signal(number, before[signal.Signals(number)])

        for number in before:
            signal.signal(number, ask)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def parse_duration(text: str) -> float:
    """Return the seconds of ``25m``, ``1h30m``, ``90s`` or ``90``.

    Raises:
        ValueError: it is written in another way, or is no time at all.
    """
    found = _PARTS.fullmatch(text.strip())
    hours, minutes, seconds = (int(part or 0) for part in (found.groups() if found else (0, 0, 0)))
    total = 3600 * hours + 60 * minutes + seconds
    if not total:
        raise UsageError(f"{text!r} is no length of time: write 25m, 1h30m or 90s")
    return float(total)

"""Doing many things at the same time that wait for somebody else, such as requests to a server."""

import contextlib
import logging
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")
AHEAD = 4
"""Items at hand for each under way, so that no thread waits while results are dealt with."""


SAME = 1.0
"""Seconds in which a further interrupt is taken for the first: some programs send it twice."""


def side_by_side(do: Callable[[T], R], items: Iterable[T], most: int) -> Iterator[R]:
    """Yield what ``do`` returns for each item, as it comes; ``most`` are under way at a time.

    The items are read as they are needed, where the results are. After a first Ctrl-C nothing new
    is begun, and what was under way is yielded before the interrupt goes on.
    """
    given = iter(items)
    threads = _Threads(do, most)
    try:
        with _interrupt() as interrupted:
            while True:
                if interrupted():
                    threads.forget()
                else:
                    for item in islice(given, AHEAD * most - threads.under_way):
                        threads.begin(item)
                if not threads.under_way:
                    break
                yield threads.next()
            if interrupted():
                raise KeyboardInterrupt
    finally:
        threads.end()


@contextlib.contextmanager
def _interrupt() -> Iterator[Callable[[], bool]]:
    """Let the first Ctrl-C wait for what is under way; yield whether there was one."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop.is_set  # signals are the main thread's
        return
    before = signal.getsignal(signal.SIGINT)
    first = 0.0

    def wait(*_: object) -> None:
        nonlocal first
        if not stop.is_set():
            stop.set()
            first = time.monotonic()
            logging.getLogger(__name__).warning(
                "waiting for the replies under way; Ctrl-C again does not"
            )
        elif time.monotonic() - first > SAME:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, wait)
    try:
        yield stop.is_set
    finally:
        signal.signal(signal.SIGINT, before)


class _Threads(Generic[T, R]):
    """So many threads that do things; they do not keep the program from ending."""

    def __init__(self, do: Callable[[T], R], most: int) -> None:
        self._do = do
        self._most = most
        self._started = 0
        self._todo: queue.SimpleQueue[tuple[T] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[R] | BaseException] = queue.SimpleQueue()
        self.under_way = 0

    def begin(self, item: T) -> None:
        self._todo.put((item,))
        self.under_way += 1
        if self._started < self._most:
            self._started += 1
            threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while (item := self._todo.get()) is not None:
            try:
                self._done.put((self._do(*item),))
            except BaseException as error:
                self._done.put(error)

    def next(self) -> R:
        """Wait for a result; raise what was raised in its place."""
        result = self._done.get()
        self.under_way -= 1
        if isinstance(result, BaseException):
            raise result
        return result[0]

    def end(self) -> None:
        """Let each thread end after the item that it is at."""
        self.forget()
        for _ in range(self._started):
            self._todo.put(None)

    def forget(self) -> None:
        """Take back what was not begun."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._todo.get_nowait()
                self.under_way -= 1

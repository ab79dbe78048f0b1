"""Asking an LLM many things at the same time: an event loop waits for it in a thread of its own."""

import asyncio
import contextlib
import logging
import queue
import signal
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from itertools import islice
from typing import Generic, TypeVar, cast

from glinermt.synth.backends.base import Concurrent

T = TypeVar("T")
R = TypeVar("R")
AHEAD = 4
"""Items at hand for each under way, so that the LLM does not wait while results are dealt with."""


SAME = 1.0
"""Seconds in which a further interrupt is taken for the first: some programs send it twice."""


def side_by_side(
    llm: Concurrent, do: Callable[[T], Awaitable[R]], items: Iterable[T]
) -> Iterator[R]:
    """Yield what ``do`` returns for each item, as it comes; ``llm.at_once`` are done at a time.

    The items are read as they are needed, in the caller's thread; ``do`` runs in an event loop,
    where the LLM is closed at the end. After a first Ctrl-C, or where ``do`` or an item fails,
    nothing new is begun, and what was under way is yielded before the interrupt or error goes on.
    """
    given = iter(items)
    failed: list[BaseException] = []
    loop = _Loop(llm, do)
    try:
        with _interrupt() as interrupted:
            while True:
                if interrupted() or failed:
                    loop.forget()
                elif AHEAD * llm.at_once - loop.under_way > llm.at_once // 2:
                    try:
                        loop.begin(islice(given, AHEAD * llm.at_once - loop.under_way))
                    except Exception as error:
                        failed.append(error)
                        continue
                if not loop.under_way:
                    break
                result = loop.next()
                if isinstance(result, BaseException):
                    failed.append(result)
                else:
                    yield result[0]
            if interrupted():
                raise KeyboardInterrupt
        if failed:
            raise failed[0]
    finally:
        loop.end()


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


class _Loop(Generic[T, R]):
    """An event loop in a thread, with as many tasks as the LLM takes requests at a time."""

    def __init__(self, llm: Concurrent, do: Callable[[T], Awaitable[R]]) -> None:
        self._llm = llm
        self._do = do
        self._tasks: set[asyncio.Task[None]] = set()
        self._todo: deque[T] = deque()
        self._done: queue.SimpleQueue[tuple[R] | BaseException] = queue.SimpleQueue()
        self._end = asyncio.Event()
        self.under_way = 0
        """Items that were begun, and whose results were not taken yet."""
        started: queue.SimpleQueue[asyncio.AbstractEventLoop] = queue.SimpleQueue()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(started)), daemon=True)
        self._thread.start()
        self._loop = started.get()

    async def _run(self, started: "queue.SimpleQueue[asyncio.AbstractEventLoop]") -> None:
        started.put(asyncio.get_running_loop())
        try:
            await self._end.wait()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        finally:
            await self._llm.close()

    def begin(self, items: Iterable[T]) -> None:
        """Let the tasks do these too."""
        new = list(items)
        if new:
            self._todo.extend(new)
            self.under_way += len(new)
            self._loop.call_soon_threadsafe(self._start, len(new))

    def _start(self, items: int) -> None:
        """Begin tasks for so many items, as far as there may be more."""
        for _ in range(min(items, self._llm.at_once - len(self._tasks))):
            self._tasks.add(asyncio.create_task(self._work()))

    async def _work(self) -> None:
        """Do one item after another while there are any."""
        while self._todo:
            try:
                item = self._todo.popleft()
            except IndexError:  # taken back by the other thread
                break
            try:
                self._done.put((await self._do(item),))
            except BaseException as error:
                self._done.put(error)
                if not isinstance(error, Exception):
                    raise
        self._tasks.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    def next(self) -> tuple[R] | BaseException:
        """Wait for a result, or for what was raised in its place."""
        result = self._done.get()
        self.under_way -= 1
        return result

    def forget(self) -> None:
        """Take back what was not begun."""
        with contextlib.suppress(IndexError):
            while True:
                self._todo.pop()
                self.under_way -= 1

    def end(self) -> None:
        """Give up what is under way, close the LLM, and wait for that."""
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

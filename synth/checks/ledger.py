"""What happened to the pieces of replies: how they were placed, and why they were dropped."""

from collections import Counter
from dataclasses import dataclass, field

KEPT_FOR_SHOW = 200


@dataclass
class Ledger:
    """Counts of one row or of many; the latest drops are kept as they were, for the preview."""

    statuses: Counter[str] = field(default_factory=Counter)
    drops: Counter[str] = field(default_factory=Counter)
    dropped: list[tuple[str, str]] = field(default_factory=list)
    """(cause, what)."""

    def drop(self, cause: str, what: str = "") -> None:
        self.drops[cause] += 1
        if len(self.dropped) < KEPT_FOR_SHOW:
            self.dropped.append((cause, what))

"""ReloadBook: what became of the last reloads, in memory that the whole edge shares.

The master makes it before the first fork and writes in it at each reload, by HUP or by
order. Any process reads it, for whoever asks at the admin address, and may order a
reload there: the master is sent HUP.
"""

import json
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from edge.board.shared_text import SharedText
from edge.core.errors import Refusal
from edge.core.reasons import Reason
from edge.core.reload_history import ReloadHistory

TEXT_OCTETS = 64 * 1024
"""Where the last reloads are longer than that, the oldest of them are forgotten."""


MAX_UNDER_WAY = 2
"""Of more no order is taken: each has a process started, which may hang."""


class ReloadBook:
    """The book of one edge. ``wall`` tells Unix time."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._ordered = 0
        self._text = SharedText(TEXT_OCTETS)
        now = round(wall(), 3)
        self._store(ReloadHistory(now, now))

    def read(self) -> ReloadHistory:
        """How it stands. In any process."""
        octets = self._text.read()
        assert octets is not None, "a history is stored when the book is made"
        return ReloadHistory.of_data(json.loads(octets))

    def order(self, master: int) -> int:
        """Have the master reload; the number of the reload whose result counts for this
        order (``edge.core.reload_history``). In a child of it. Raises Refusal."""
        history = self.read()
        number = history.number + 1
        if os.getppid() != master:
            detail = "The master of this edge has died: nobody can reload it."
            raise Refusal(detail, reason=Reason.MASTER_GONE)
        if history.under_way >= MAX_UNDER_WAY:
            detail = f"{MAX_UNDER_WAY} reloads are under way already."
            raise Refusal(detail, reason=Reason.LIMIT_RELOADS)
        if number != self._ordered:
            # Else the signal is on its way: that one has not read the settings yet.
            self._ordered = number
            os.kill(master, signal.SIGHUP)
        return number

    # The master's part.

    def begin(self) -> None:
        """A reload is under way. To be said before the settings are read."""
        self._store(self.read().begun(self._now()))

    def taken(self, changed: Sequence[str]) -> None:
        """Its settings can be taken, and differ so from those before."""
        self._store(self.read().taken(changed))

    def refuse(self, reason: Reason, problems: Sequence[str]) -> None:
        """It was refused."""
        self._store(self.read().refused(self._now(), reason, problems))

    def accept(self) -> None:
        """Whatever is under way has come to its end. No effect if nothing is."""
        history = self.read()
        if (done := history.accepted(self._now())) is not history:
            self._store(done)

    def fail(self, problem: str) -> None:
        """Whatever is under way has failed: a new process did not start."""
        reason = Reason.NOT_STARTED
        self._store(self.read().failed(self._now(), reason, (problem,)))

    def _now(self) -> float:
        return round(self._wall(), 3)

    def _store(self, history: ReloadHistory) -> None:
        while not self._text.store(_octets(history)):
            history = replace(history, records=history.records[1:])


class ReloadDesk:
    """The book as one process shows it (``edge.admin.reload_pages.Reloads``).
    ``master`` is the pid of its master; ``unready`` says why it cannot answer reads."""

    def __init__(
        self, book: ReloadBook, master: int, unready: Callable[[], Reason | None]
    ) -> None:
        self._book = book
        self._master = master
        self._unready = unready

    def history(self) -> ReloadHistory:
        """See Reloads."""
        return self._book.read()

    def order(self) -> int:
        """See Reloads."""
        if self._unready() is Reason.DRAINING:
            detail = "This edge is about to end: it reloads no more."
            raise Refusal(detail, reason=Reason.DRAINING)
        return self._book.order(self._master)


def _octets(history: ReloadHistory) -> bytes:
    # A path may have octets that are no text.
    text = json.dumps(history.as_data(), separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "replace")

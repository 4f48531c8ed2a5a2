"""What became of the last reloads: values that the master writes and all others read.

A reload has a number, from 1 after each start. It is under way from when the master
takes the order until its result stands::

    under-way ── accepted   processes with the new settings serve, in all places
              ├─ refused    the settings cannot be taken; nothing was begun
              └─ failed     a new process did not start, or hung and was ended; the old
                            settings are in force

Whoever orders one looks at the last number before, and waits for the result of the one
after it: that one has read the settings after the order. Where a worker is alone, a
reload overtakes the one that is under way; both then end as the last one does.

Pure. Stored by ``edge.process.reload_book``, shown by ``edge.admin.reload_pages``.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from edge.core.reasons import Reason

KEPT = 8
"""Reloads that are remembered."""

MAX_TEXTS = 20
MAX_TEXT = 400
"""Of each reload: problems, and settings that changed, and characters of each."""


class ReloadResult(enum.Enum):
    """See the module."""

    UNDER_WAY = "under-way"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    FAILED = "failed"


RESULTS = tuple(one for one in ReloadResult if one is not ReloadResult.UNDER_WAY)
"""How a reload may end."""


@dataclass(frozen=True, slots=True)
class ReloadRecord:
    """One reload. Times are Unix time. ``changed`` are the names of the settings that
    differ from those before; ``problems`` say why it was refused or failed."""

    number: int
    began: float
    ended: float | None = None
    result: ReloadResult = ReloadResult.UNDER_WAY
    reason: Reason | None = None
    changed: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def under_way(self) -> bool:
        """Whether it has not ended."""
        return self.result is ReloadResult.UNDER_WAY

    def as_data(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "number": self.number,
            "result": self.result.value,
            "reason": None if self.reason is None else self.reason.value,
            "began": self.began,
            "ended": self.ended,
            "changed": list(self.changed),
            "problems": list(self.problems),
        }


@dataclass(frozen=True, slots=True)
class ReloadHistory:
    """The last reloads, oldest first, since the master ``started`` (Unix time).
    ``counts``: how many ended so, by result. ``succeeded``: when settings were last
    taken, at the start or by a reload."""

    started: float
    succeeded: float
    records: tuple[ReloadRecord, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def last(self) -> ReloadRecord | None:
        """The newest; None: none was ordered."""
        return self.records[-1] if self.records else None

    @property
    def number(self) -> int:
        """That of the newest; 0: none was ordered."""
        return self.records[-1].number if self.records else 0

    @property
    def under_way(self) -> int:
        """How many have not ended."""
        return len(self._under_way)

    @property
    def successful(self) -> bool:
        """Whether the last one that has ended was accepted, or none has ended."""
        ended = [record for record in self.records if not record.under_way]
        return not ended or ended[-1].result is ReloadResult.ACCEPTED

    # What the master notes.

    def begun(self, now: float) -> "ReloadHistory":
        """One more is under way."""
        more = ReloadRecord(self.number + 1, now)
        return replace(self, records=(*self.records, more)[-KEPT:])

    def taken(self, changed: Sequence[str]) -> "ReloadHistory":
        """The newest has settings that can be taken, which differ so."""
        newest = replace(self.records[-1], changed=_bounded(changed))
        return replace(self, records=(*self.records[:-1], newest))

    def refused(
        self, now: float, reason: Reason, problems: Sequence[str]
    ) -> "ReloadHistory":
        """The newest ends so, and no other."""
        result = ReloadResult.REFUSED
        return self._ended(now, result, {self.number}, reason, problems)

    def accepted(self, now: float) -> "ReloadHistory":
        """All that are under way end so: what the newest took is in force."""
        done = self._ended(now, ReloadResult.ACCEPTED, self._under_way)
        return done if done is self else replace(done, succeeded=now)

    def failed(
        self, now: float, reason: Reason, problems: Sequence[str]
    ) -> "ReloadHistory":
        """All that are under way end so: what was before them is in force again."""
        result = ReloadResult.FAILED
        return self._ended(now, result, self._under_way, reason, problems)

    @property
    def _under_way(self) -> set[int]:
        return {record.number for record in self.records if record.under_way}

    def _ended(
        self,
        now: float,
        result: ReloadResult,
        numbers: set[int],
        reason: Reason | None = None,
        problems: Sequence[str] = (),
    ) -> "ReloadHistory":
        if not numbers:
            return self
        told = _bounded(problems)
        records = tuple(
            replace(one, ended=now, result=result, reason=reason, problems=told)
            if one.number in numbers
            else one
            for one in self.records
        )
        count = self.counts.get(result.value, 0) + len(numbers)
        return replace(
            self, records=records, counts={**self.counts, result.value: count}
        )

    # As data.

    def as_data(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "started": self.started,
            "succeeded": self.succeeded,
            "successful": self.successful,
            "counts": {one.value: self.counts.get(one.value, 0) for one in RESULTS},
            "reloads": [record.as_data() for record in self.records],
        }

    @classmethod
    def of_data(cls, data: Mapping[str, Any]) -> "ReloadHistory":
        """What ``as_data`` was made of."""
        records = tuple(
            ReloadRecord(
                one["number"],
                one["began"],
                one["ended"],
                ReloadResult(one["result"]),
                None if one["reason"] is None else Reason(one["reason"]),
                tuple(one["changed"]),
                tuple(one["problems"]),
            )
            for one in data["reloads"]
        )
        return cls(data["started"], data["succeeded"], records, data["counts"])


def _bounded(texts: Sequence[str]) -> tuple[str, ...]:
    """The first ones, cut; how many are left out is said in the last."""
    shown = [text[:MAX_TEXT] for text in texts[:MAX_TEXTS]]
    if len(texts) > MAX_TEXTS:
        shown[-1] = f"and {len(texts) - MAX_TEXTS + 1} more"
    return tuple(shown)

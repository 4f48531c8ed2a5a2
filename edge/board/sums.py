"""Sums: numbers that all processes count, and that never go back.

Each process stores a text, a JSON object whose ``counters`` are numbers that only grow.
When a lane is taken back, the master adds those of its last text to the text of those
who are *gone*. That text also tells up to which boot each lane was added::

    {"counters": {...}, "boots": {"3": 17}}

Whoever sums reads the lanes first, and then those who are gone. A lane's text is left
out if its boot is not above the one told there. Whichever way a process ends meanwhile,
it counts once:

- 1: a lane is read; 2: its holder ends, and is added; 3: those gone are read, who have
  all that was read at 1, and maybe more: the lane is left out.
- 1: a holder ends, and is added; 2: its lane is read: the text is there still; 3:
  those gone are read: the lane is left out.
- 1: a holder ends, is added, and a successor has its lane and stores a text; 2: the
  lane is read; 3: those gone are read: the successor's boot is above the one told.

No sum is behind one that was read before it: each text is at least what it was, and so
are those gone.
"""

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

from edge.board.layout import GONE_OCTETS, GONE_TEXTS, TEXT_OCTETS, Field
from edge.board.memory import BoardMemory
from edge.board.texts import BoardText, TextPlace

CountedNumber: TypeAlias = int | dict[str, int]
"""A counter: its value, or a value for each label."""

CountedNumbers: TypeAlias = dict[str, CountedNumber]

MASTER_BOOT = 1
"""The boot by which the master stores its text. It is never added to those gone."""


class Sums:
    """The texts of all lanes, of the master, and of those who are gone."""

    __slots__ = ("_gone", "_lanes", "_master")

    def __init__(self, memory: BoardMemory) -> None:
        layout, words, octets = memory.layout, memory.words, memory.octets
        number = layout.field(Field.TEXTS)
        places = [
            TextPlace(words, octets, number + lane, layout.text(lane), TEXT_OCTETS)
            for lane in range(layout.lanes + 1)
        ]
        self._lanes = places[:-1]
        self._master = places[-1]
        self._gone = TextPlace(
            words, octets, GONE_TEXTS, layout.text(layout.lanes + 1), GONE_OCTETS
        )

    def store(self, lane: int, boot: int, octets: bytes) -> bool:
        """For a lane's holder alone. Whether there was room for it."""
        return self._lanes[lane].store(boot, octets)

    def store_master(self, octets: bytes) -> bool:
        """For the master alone. Whether there was room for it."""
        return self._master.store(MASTER_BOOT, octets)

    def text(self, lane: int, boot: int) -> dict[str, Any] | None:
        """The last text of a process; None if it has stored none in its lane."""
        text = self._lanes[lane].read() if self._lanes[lane].boot == boot else None
        return _parsed(text) if text is not None and text.boot == boot else None

    def totals(self) -> CountedNumbers:
        """The sums of ``counters`` over all processes that there are and have been."""
        texts = [place.read() for place in self._lanes]
        master = self._master.read()
        counters, boots = self._all_gone()
        total = _copied(counters)
        for lane, text in enumerate(texts):
            if text is not None and text.boot > boots.get(str(lane), 0):
                add(total, _parsed(text).get("counters", {}))
        if master is not None:
            add(total, _parsed(master).get("counters", {}))
        return total

    def take_back(self, lane: int, boot: int) -> bool:
        """For the master alone: the process with this boot has ended. Whether there was
        room for its numbers; else they count until its lane is given again."""
        counters, boots = self._all_gone()
        last = self.text(lane, boot)
        if last is None:
            return True
        total = _copied(counters)
        add(total, last.get("counters", {}))
        gone = {"counters": total, "boots": {**boots, str(lane): boot}}
        return self._gone.store(MASTER_BOOT, _octets(gone))

    def _all_gone(self) -> tuple[CountedNumbers, dict[str, int]]:
        text = self._gone.read()
        if text is None:
            return {}, {}
        gone = _parsed(text)
        return gone["counters"], gone["boots"]


def add(total: CountedNumbers, more: Mapping[str, CountedNumber]) -> None:
    """Add numbers to ``total``, label by label. What only one side has is kept."""
    for name, number in more.items():
        if isinstance(number, int):
            before = total.get(name, 0)
            assert isinstance(before, int), name
            total[name] = before + number
        else:
            labels = total.setdefault(name, {})
            assert isinstance(labels, dict), name
            for label, count in number.items():
                labels[label] = labels.get(label, 0) + count


def _copied(numbers: CountedNumbers) -> CountedNumbers:
    return {
        name: number if isinstance(number, int) else dict(number)
        for name, number in numbers.items()
    }


def _parsed(text: BoardText) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(text.octets)
    return parsed


def _octets(parsed: Mapping[str, Any]) -> bytes:
    return json.dumps(parsed, separators=(",", ":")).encode()

"""Whether earlier routes take every path of a later one, which is then never met.

A glob is a small automaton over the characters of a path. The question is whether the
language of one is within the union of others, and is decided exactly: a search for a
path that only the later one covers, through pairs of a state of the later glob and all
states in which the earlier ones can be. Globs made to be hard have too many of these;
then the answer is that nothing is known, never a wrong one. Pure. Called by
``edge.settings.cross_checks``, for ``ds-edge check``; no request meets it.
"""

import string
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from edge.policy.streams.pipeline import captured, parts_of

MAX_PAIRS = 20_000
"""Pairs of states after which the search gives up: a second or two."""

SEGMENT_END = "/"


class Undecided(Exception):
    """The globs have too many states together."""


def covering(match: str, earlier: Sequence[str]) -> tuple[int, ...]:
    """Which of ``earlier`` cover all paths of ``match`` together, in order.

    One alone if one does; else as few as are found by leaving out one after the other.
    Empty: they do not cover all, or nothing is known.
    """
    if _has_an_example(match, earlier):
        return ()
    try:
        if path_beyond(match, earlier) is not None:
            return ()
        for index, one in enumerate(earlier):
            if path_beyond(match, [one]) is None:
                return (index,)
        kept = list(range(len(earlier)))
        for index in range(len(earlier)):
            fewer = [n for n in kept if n != index]
            if path_beyond(match, [earlier[n] for n in fewer]) is None:
                kept = fewer
    except Undecided:
        return ()
    return tuple(kept)


def _has_an_example(match: str, earlier: Sequence[str]) -> bool:
    """Whether a plain path of ``match`` is its own: so for most routes, and at once."""
    path = "".join("\0" if n % 2 else part for n, part in _numbered(match))
    return all(captured(one, path) is None for one in earlier)


def path_beyond(match: str, earlier: Sequence[str]) -> str | None:
    """A shortest path that ``match`` covers and none of ``earlier`` does; None if
    there is none. Raises Undecided."""
    later, others = _automaton([match]), _automaton(earlier)
    alphabet = _alphabet([match, *earlier])
    seen: dict[int, list[int]] = {}
    waiting = deque((n, others.start, "") for n in _bits(later.start))
    pairs = 0
    while waiting:
        state, around, path = waiting.popleft()
        # A path that leaves the others fewer states is no worse a beginning.
        known = seen.setdefault(state, [])
        if any(one & around == one for one in known):
            continue
        known.append(around)
        pairs += 1
        if pairs > MAX_PAIRS:
            raise Undecided
        if later.accepts(1 << state) and not others.accepts(around):
            return path
        for letter in alphabet:
            after = later.step(1 << state, letter)
            beside = others.step(around, letter) if after else 0
            waiting.extend((n, beside, path + letter) for n in _bits(after))
    return None


@dataclass(frozen=True)
class _Step:
    """What one state takes: a letter of ``takes``, or any (of a segment) if None.

    ``stays``: any number of them, also none; else just one.
    """

    takes: str | None
    across: bool = False
    stays: bool = False

    def admits(self, letter: str) -> bool:
        if self.takes is not None:
            return letter == self.takes
        return self.across or letter != SEGMENT_END


class _Automaton:
    """Several globs at once. A set of states is the bits of an integer.

    A glob's last state is where it accepts. Bits move to the next state all at once.
    """

    def __init__(self, globs: Sequence[Sequence[_Step]]) -> None:
        self._steps: list[_Step | None] = []
        starts = 0
        for steps in globs:
            starts |= 1 << len(self._steps)
            self._steps += [*steps, None]
        self._ends = self._those(lambda step: step is None)
        self._staying = self._those(lambda step: step is not None and step.stays)
        self._admitting: dict[str, int] = {}
        self.start = self._rest(starts)

    def accepts(self, states: int) -> bool:
        """Whether a path that leads to these states is covered."""
        return bool(states & self._ends)

    def step(self, states: int, letter: str) -> int:
        """Where ``letter`` leads from these states."""
        if letter not in self._admitting:
            self._admitting[letter] = self._those(
                lambda step: step is not None and step.admits(letter)
            )
        states &= self._admitting[letter]
        return self._rest(states & self._staying | (states & ~self._staying) << 1)

    def _rest(self, states: int) -> int:
        """These states, and those behind what may take nothing."""
        while states | (states & self._staying) << 1 != states:
            states |= (states & self._staying) << 1
        return states

    def _those(self, wanted: Callable[[_Step | None], bool]) -> int:
        return sum(1 << n for n, step in enumerate(self._steps) if wanted(step))


def _automaton(matches: Sequence[str]) -> _Automaton:
    return _Automaton([list(_steps_of(match)) for match in matches])


def _steps_of(match: str) -> Iterator[_Step]:
    for number, part in _numbered(match):
        if number % 2 == 0:
            yield from (_Step(letter) for letter in part)
            continue
        if part.startswith("{"):  # a name stands for at least one character
            yield _Step(None)
        yield _Step(None, across=part == "**", stays=True)


def _numbered(match: str) -> Iterator[tuple[int, str]]:
    """The parts of a glob; the odd ones are wild."""
    return enumerate(parts_of(match))


def _alphabet(matches: Sequence[str]) -> list[str]:
    """The letters of the globs, and one that stands for all others."""
    letters = {c for match in matches for part in parts_of(match)[::2] for c in part}
    letters.add(SEGMENT_END)
    others = (c for c in string.ascii_letters + string.digits if c not in letters)
    return [*sorted(letters), next(others, "\0")]


def _bits(number: int) -> Iterator[int]:
    while number:
        lowest = number & -number
        yield lowest.bit_length() - 1
        number ^= lowest

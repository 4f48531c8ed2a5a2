"""KeeperHealth: when a front goes round a keeper, and when no more (W6, W7). Pure.

A front looks at each keeper's beat every quarter of a second, and before it sends it
anything that cannot be sent again. What a look says and what follows is a table::

    state     FRESH_BEAT  OLD_BEAT   NO_BEAT_BETWEEN  LASTING_BEATS
    FRESH     FRESH       SILENT     SILENT           FRESH
    SILENT    FRESH       SILENT     ROUND            FRESH
    ROUND     BACK        ROUND      ROUND            FRESH
    BACK      BACK        ROUND      ROUND            FRESH

FRESH: its beat is younger than 1.5 s. SILENT: it is not, and nothing that it said may
be claimed; requests still go to it, for it may only be late. ROUND: between two looks
0.5 s apart there was no beat either: requests go to the origin directly. BACK: it beats
again, and requests go round it until it has done so for 3 s: one that comes and goes
would hold up all that is sent to it. The very first beat is a lasting one: nobody was
gone yet.

A machine that was stopped as a whole must not look like a keeper that stands still. So
two looks count only if whoever looks did so all the time in between.
"""

import enum

from edge.board.keeper_pulse import FRESH_SECONDS, NEVER

ROUND_AFTER_SECONDS = 0.5
"""Between two looks with no beat in between, before a keeper is gone round."""

BACK_AFTER_SECONDS = 3.0
"""Beats for so long end going round."""


class Health(enum.Enum):
    """What a front thinks of a keeper; see the module."""

    FRESH = "fresh"
    SILENT = "silent"
    ROUND = "round"
    BACK = "back"

    @property
    def goes_round(self) -> bool:
        """Whether a request that begins now goes to the origin directly. Its way is
        decided once (W3)."""
        return self is Health.ROUND or self is Health.BACK


class BeatSign(enum.Enum):
    """What a look says of a keeper's beat; see the module."""

    FRESH_BEAT = "fresh-beat"
    OLD_BEAT = "old-beat"
    NO_BEAT_BETWEEN = "no-beat-between"
    LASTING_BEATS = "lasting-beats"


_NEXT = {
    Health.FRESH: (Health.FRESH, Health.SILENT, Health.SILENT, Health.FRESH),
    Health.SILENT: (Health.FRESH, Health.SILENT, Health.ROUND, Health.FRESH),
    Health.ROUND: (Health.BACK, Health.ROUND, Health.ROUND, Health.FRESH),
    Health.BACK: (Health.BACK, Health.ROUND, Health.ROUND, Health.FRESH),
}

HEALTH_TABLE = {
    (health, sign): health_then
    for health, row in _NEXT.items()
    for sign, health_then in zip(BeatSign, row, strict=True)
}


class KeeperHealth:
    """One front's opinion of one keeper. It begins with one that never beat."""

    __slots__ = (
        "_beating_since",
        "_has_beaten",
        "_looked_at",
        "_old_beat",
        "_old_since",
        "health",
    )

    def __init__(self) -> None:
        self.health = Health.SILENT
        self._looked_at = NEVER
        self._has_beaten = False
        # The beat that was old, and since when looks have found it so.
        self._old_beat: float | None = None
        self._old_since = NEVER
        self._beating_since: float | None = None

    def look(self, beat: float, now: float) -> Health:
        """Look at the keeper's newest beat. Monotonic seconds; -inf: none yet."""
        sign = self._sign(beat, now)
        self._looked_at = now
        self.health = HEALTH_TABLE[self.health, sign]
        return self.health

    def _sign(self, beat: float, now: float) -> BeatSign:
        if now - self._looked_at >= FRESH_SECONDS:
            self._old_beat = self._beating_since = None
        if now - beat < FRESH_SECONDS:
            return self._fresh_sign(beat)
        self._beating_since = None
        if beat != self._old_beat:
            self._old_beat, self._old_since = beat, now
        if now - self._old_since >= ROUND_AFTER_SECONDS:
            return BeatSign.NO_BEAT_BETWEEN
        return BeatSign.OLD_BEAT

    def _fresh_sign(self, beat: float) -> BeatSign:
        is_first, self._has_beaten = not self._has_beaten, True
        if self._beating_since is None:
            self._beating_since = beat
        if is_first or beat - self._beating_since >= BACK_AFTER_SECONDS:
            return BeatSign.LASTING_BEATS
        return BeatSign.FRESH_BEAT

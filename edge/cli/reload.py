"""A reload: the settings are read once more, and taken whole or not at all.

Runs in the gunicorn master at HUP. If the new settings cannot be used, each problem is
logged on a line of its own, and the edge goes on with the old ones. ``edge.cli.start``
makes it, ``edge.wiring`` calls it.
"""

import logging
from collections.abc import Callable

from edge.cli import preflight
from edge.cli.revocation_place import RevocationPlace
from edge.settings import Settings, SettingsError, processes
from edge.settings.difference import differences
from edge.settings.processes import ProcessCounts
from edge.settings.renewed import RenewedSettings
from edge.settings.restart import only_by_restart

_log = logging.getLogger("edge.settings")


class Reloader:
    """Reads the settings anew. ``first``: those of the start, as they were written.
    ``place`` is where the start keeps orders to revoke, ``counts`` how many processes
    it started: there are as many after a reload. ``bound``: see ``processes.within``.
    """

    def __init__(
        self,
        first: Settings,
        read: Callable[[], Settings],
        place: RevocationPlace | None = None,
        counts: ProcessCounts = processes.ALONE,
        bound: int | None = None,
    ) -> None:
        self._first = first
        self._read = read
        self._counts = counts
        self._bound = bound
        self._place = place or RevocationPlace()

    def __call__(self, in_force: Settings) -> RenewedSettings:
        """What to go on with. ``in_force`` are the settings of now, as they were
        written."""
        try:
            written = self._read()
        except SettingsError as error:
            problems = [str(problem) for problem in error.problems]
            return self._refused(in_force, problems)
        settings, problems = self._judged(written)
        if problems:
            return self._refused(in_force, problems)
        changed = tuple(one.key for one in differences(in_force, written))
        return RenewedSettings(settings, written, changed)

    def _refused(self, in_force: Settings, problems: list[str]) -> RenewedSettings:
        for problem in problems:
            _log.error("reload refused: %s", problem)
        return RenewedSettings(None, in_force, problems=tuple(problems))

    def _judged(self, written: Settings) -> tuple[Settings, list[str]]:
        """The new settings as they will be in force, and what is wrong with them."""
        kept = only_by_restart(self._first, written)
        settings = processes.within(written, self._bound)
        settings = processes.with_counts(settings, self._counts)
        plan = preflight.raise_files(settings)
        problems = [f"{name}: only a restart can change it" for name in kept]
        for why in (
            processes.share_fault(settings, self._counts),
            processes.origin_fault(settings, self._counts),
            preflight.files_refusal(settings, plan),
        ):
            if why is not None:
                problems.append(why)
        if not problems and (why := self._place.refusal(settings)) is not None:
            problems.append(why)
        if not problems:
            settings = self._place.settled(settings)
        return preflight.with_connections(settings, plan), problems

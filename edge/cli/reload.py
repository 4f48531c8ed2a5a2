"""A reload: the settings are read once more, and taken whole or not at all.

Runs in the gunicorn master when it is told to reload (HUP). Whatever speaks against
the new settings is logged, a line for each problem, and the edge goes on with the
old ones. Made by ``edge.cli.start``, called by ``edge.wiring``.
"""

import logging
from collections.abc import Callable

from edge.cli import preflight
from edge.settings import Settings, SettingsError
from edge.settings.restart import only_by_restart

_log = logging.getLogger("edge.settings")


class Reloader:
    """Reads anew. ``first`` are the settings of the start, as they were written."""

    def __init__(self, first: Settings, read: Callable[[], Settings]) -> None:
        self._first = first
        self._read = read

    def __call__(self) -> Settings | None:
        """What to go on with; None: as before."""
        settings, problems = self._judged()
        for problem in problems:
            _log.error("reload refused: %s", problem)
        return None if problems else settings

    def _judged(self) -> tuple[Settings, list[str]]:
        """The settings as they will be in force, or what speaks against them."""
        try:
            settings = self._read()
        except SettingsError as error:
            return self._first, [str(problem) for problem in error.problems]
        kept = only_by_restart(self._first, settings)
        plan = preflight.raise_files(settings)
        problems = [f"{name}: only a restart can change it" for name in kept]
        if plan.connections < 1:
            problems.append(f"{plan.soft} open files leave no room for clients")
        return preflight.with_connections(settings, plan.connections), problems

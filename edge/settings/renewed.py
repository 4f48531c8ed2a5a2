"""RenewedSettings: what came of reading the settings again, for a reload. A value.

Made by ``edge.cli.reload``, read by ``edge.wiring``.
"""

from typing import NamedTuple

from edge.settings.schema import Settings


class RenewedSettings(NamedTuple):
    """``settings`` are those to run with, None where ``problems`` say why there are no
    new ones. ``written`` are the same as they were given, before this machine bounded
    them; ``changed`` names those that differ from the ones in force."""

    settings: Settings | None
    written: Settings
    changed: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

"""``GET /settings``: the settings in force, as people write them, secrets masked.

They are those that were read at the start or by the last reload that was taken, before
this machine bounded them: so they can be compared with a file. Nothing can be told of a
secret but that it is there: not even a digest, by which a guess could be tried.
"""

from collections.abc import Callable, Mapping

from edge import __version__
from edge.admin.routes import AdminRequest, AdminRoute, json_page
from edge.core.values import Answer

PATH = "/settings"


class SettingsPage:
    """The page of one process. ``shown`` gives its settings, masked."""

    def __init__(self, shown: Callable[[], Mapping[str, object]]) -> None:
        self._shown = shown

    def routes(self) -> tuple[AdminRoute, ...]:
        """The page that this part contributes to the admin address."""
        return (AdminRoute(PATH, self._page),)

    def _page(self, _request: AdminRequest) -> Answer:
        return json_page({"version": __version__, "settings": dict(self._shown())})

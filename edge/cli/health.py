"""``ds-edge health``: asks the edge on this machine whether it is well.

For a container's health check: it finds the admin address in the same settings as
``serve``, takes a bounded time whatever answers there, and says one line. Exits with 0
or 1 and nothing else, since Docker keeps other codes to itself.
"""

from edge.cli.admin_client import fetch
from edge.settings import Settings


def ask(settings: Settings, page: str, within: float) -> str:
    """What the page says; ``within`` seconds. Raises NotWell."""
    first = fetch(settings, page, within).decode("utf-8", "replace").partition("\n")[0]
    return "".join(c for c in first[:80] if c.isprintable()).strip()

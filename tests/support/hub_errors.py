"""What gevent's hub reports: the death of greenlets, which no assert can see.

An exception that ends a greenlet is printed by the hub and reaches nobody else.
Importing this module has each report recorded as well; ``tests/conftest.py`` fails
the test during which one came, unless it took the fixture ``hub_errors``.
"""

from dataclasses import dataclass
from typing import Any

from gevent.hub import Hub


@dataclass(frozen=True)
class HubError:
    """One report: the class of the exception, and what was said.

    The exception itself is not kept. Its traceback would keep alive what the test
    made.
    """

    kind: type[BaseException]
    text: str


reported: list[HubError] = []
"""The reports since the last test ended."""

_print_exception = Hub.print_exception


def _record(hub: Hub, context: object, kind: Any, value: Any, trace: Any) -> None:
    reported.append(HubError(kind, f"{context!r}: {kind.__name__}: {value}"))
    _print_exception(hub, context, kind, value, trace)


# On the class: a hub is made when somebody first needs it, one for each thread.
Hub.print_exception = _record  # type: ignore[assignment, method-assign]

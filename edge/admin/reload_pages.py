"""``POST /reload`` and ``GET /reloads``: an operator has the edge reload, and is told
what became of it.

The order is answered at once, with the number of the reload whose result is to be
waited for. ``GET /reloads`` tells the last ones, whoever ordered them: HUP by hand is
among them. The metrics have names as Prometheus' own for its own reloads.

``Reloads`` is implemented by ``edge.process.worker``.
"""

from collections.abc import Iterator
from typing import Any, Protocol

from prometheus_client.core import CounterMetricFamily, Metric

from edge.admin.metrics import PREFIX, gauge_family
from edge.admin.routes import AdminRequest, AdminRoute, TokenRule, json_page
from edge.core.reload_history import RESULTS, ReloadHistory
from edge.core.values import Answer

ORDER = "/reload"
HISTORY = "/reloads"


class Reloads(Protocol):
    """The reloads of the whole edge, whichever process is asked."""

    def history(self) -> ReloadHistory:
        """The last ones."""

    def order(self) -> int:
        """Order one; its number. Raises Refusal."""


class ReloadPages:
    """The pages, and the figures, of one process."""

    def __init__(self, reloads: Reloads) -> None:
        self._reloads = reloads

    def routes(self) -> tuple[AdminRoute, ...]:
        """The pages that this part contributes to the admin address."""
        rule = TokenRule.NO_PAGE
        return (
            AdminRoute(ORDER, self._order, ("POST",), rule, takes_json=True),
            AdminRoute(HISTORY, self._history),
        )

    def _order(self, _request: AdminRequest) -> Answer:
        number = self._reloads.order()
        started = self._reloads.history().started
        return json_page({"number": number, "started": started})

    def _history(self, _request: AdminRequest) -> Answer:
        return json_page(self._reloads.history().as_data())

    def metrics(self) -> Iterator[Metric]:
        """For the page of metrics."""
        history = self._reloads.history()
        reloads = CounterMetricFamily(
            f"{PREFIX}config_reloads",
            "Reloads of the settings that have ended, by result.",
            labels=["result"],
        )
        for result in RESULTS:
            reloads.add_metric([result.value], history.counts.get(result.value, 0))
        yield reloads
        yield gauge_family(
            "config_last_reload_successful",
            "Whether the settings were taken the last time that they were read.",
            float(history.successful),
        )
        yield gauge_family(
            "config_last_reload_success_timestamp_seconds",
            "When settings were last taken, at the start or by a reload.",
            history.succeeded,
        )


def shown(history: ReloadHistory) -> dict[str, Any] | None:
    """The last reload for the status of a node; None: none was ordered."""
    return None if history.last is None else history.last.as_data()

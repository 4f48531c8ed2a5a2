"""Probes: the two pages that tell a balancer, and who starts processes, how it is.

They need no token, and say no more than an open port would tell.
"""

from collections.abc import Callable

from edge.admin.routes import AdminRequest, AdminRoute, TokenRule, text_page
from edge.core.errors import Refusal
from edge.core.reasons import Reason
from edge.core.values import Answer


def probes(unready: Callable[[], Reason | None]) -> tuple[AdminRoute, ...]:
    """``/health``: the process answers. ``/ready``: it can answer reads, because it is
    started and not draining, and where there are keepers, one of them is well; if not,
    why. An open port would tell as much as either."""

    def health(_request: AdminRequest) -> Answer:
        return text_page("healthy\n")

    def readiness(_request: AdminRequest) -> Answer:
        if (why := unready()) is not None:
            raise Refusal("Not ready.", reason=why)
        return text_page("ready\n")

    return (
        AdminRoute("/health", health, token=TokenRule.OPEN),
        AdminRoute("/ready", readiness, token=TokenRule.OPEN),
    )

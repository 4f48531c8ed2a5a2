"""Answers on their way to a greenlet of a front: from a keeper, and round one.

Both lay something over an exchange of the adapter, whose body they hand on as it is.
"""

from collections.abc import Callable

from edge.core.forwarded_exchange import ForwardedExchange
from edge.core.ports import Exchange


class LinkExchange(ForwardedExchange):
    """An answer of a keeper, with its ``head`` as its front takes it: ``provenance``
    says how old it is, and of which life of the stream (W8)."""


class RoundExchange(ForwardedExchange):
    """An answer of the origin that was asked round a keeper. ``leave`` is called once,
    when it is over."""

    def __init__(self, exchange: Exchange, leave: Callable[[], None]) -> None:
        super().__init__(exchange)
        self._leave: Callable[[], None] | None = leave

    def read(self) -> bytes:
        """See ``ports.Exchange``."""
        try:
            piece = super().read()
        except BaseException:
            self._over()
            raise
        if not piece:
            self._over()
        return piece

    def close(self) -> None:
        """See ``ports.Exchange``."""
        self._over()
        super().close()

    def _over(self) -> None:
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()

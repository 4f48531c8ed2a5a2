"""Answers on their way to a greenlet of a front: from a keeper, and round one.

Both lay something over an exchange of the adapter, whose body they hand on as it is.
"""

from collections.abc import Callable

from edge.core.ports import Exchange
from edge.core.values import Framing, Headers, OriginAnswerHead, Provenance


class LinkExchange:
    """An answer of a keeper, with its head as its front takes it: ``provenance`` says
    how old it is, and of which life of the stream (W8)."""

    def __init__(self, exchange: Exchange, head: OriginAnswerHead) -> None:
        self._exchange = exchange
        self._head = head

    @property
    def status(self) -> int:
        """See ``ports.Exchange``."""
        return self._head.status

    @property
    def headers(self) -> Headers:
        """See ``ports.Exchange``."""
        return self._head.headers

    @property
    def framing(self) -> Framing:
        """See ``ports.Exchange``."""
        return self._head.framing

    @property
    def content_length(self) -> int | None:
        """See ``ports.Exchange``."""
        return self._head.content_length

    @property
    def provenance(self) -> Provenance:
        """See ``ports.Exchange``."""
        return self._head.provenance

    def read(self) -> bytes:
        """See ``ports.Exchange``."""
        return self._exchange.read()

    def close(self) -> None:
        """See ``ports.Exchange``."""
        self._exchange.close()


class RoundExchange:
    """An answer of the origin that was asked round a keeper. ``leave`` is called once,
    when it is over."""

    def __init__(self, exchange: Exchange, leave: Callable[[], None]) -> None:
        self._exchange = exchange
        self._leave: Callable[[], None] | None = leave

    @property
    def status(self) -> int:
        """See ``ports.Exchange``."""
        return self._exchange.status

    @property
    def headers(self) -> Headers:
        """See ``ports.Exchange``."""
        return self._exchange.headers

    @property
    def framing(self) -> Framing:
        """See ``ports.Exchange``."""
        return self._exchange.framing

    @property
    def content_length(self) -> int | None:
        """See ``ports.Exchange``."""
        return self._exchange.content_length

    def read(self) -> bytes:
        """See ``ports.Exchange``."""
        try:
            piece = self._exchange.read()
        except BaseException:
            self._over()
            raise
        if not piece:
            self._over()
        return piece

    def close(self) -> None:
        """See ``ports.Exchange``."""
        self._over()
        self._exchange.close()

    def _over(self) -> None:
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()

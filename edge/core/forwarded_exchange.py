"""ForwardedExchange: an answer that is handed on, for who lays something over it.

Pure but for the exchange behind it, which alone may block.
"""

from edge.core.ports import Exchange
from edge.core.values import DIRECT, Framing, Headers, OriginAnswerHead, Provenance


class ForwardedExchange:
    """An exchange as it is (``ports.Exchange``), or with another ``head``."""

    def __init__(
        self, exchange: Exchange, head: OriginAnswerHead | None = None
    ) -> None:
        self._exchange = exchange
        self._head: Exchange | OriginAnswerHead = exchange if head is None else head

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
        found: Provenance = getattr(self._head, "provenance", DIRECT)
        return found

    def read(self) -> bytes:
        """See ``ports.Exchange``."""
        return self._exchange.read()

    def close(self) -> None:
        """See ``ports.Exchange``."""
        self._exchange.close()

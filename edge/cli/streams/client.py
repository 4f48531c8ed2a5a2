"""One request and its answer, over the requests library.

Every failure is a Fault (``session`` and ``server_errors`` make them). Bodies are read
as they arrive; a body that is cut short is a fault. ``Client.once`` tries a request
once. ``Client.insist`` tries it again by a RetryPolicy, where that is safe.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import requests

from edge.cli.streams.address import StreamAddress
from edge.cli.streams.exit_faults import Exit, Fault, RequestOutcome
from edge.cli.streams.retry_policy import RetryPolicy
from edge.cli.streams.server_errors import refused
from edge.cli.streams.session import Session, mapped
from edge.protocol import names

PIECE = 64 * 1024
LIVE_SILENCE = 90.0
"""Seconds that a live read may be silent: longer than servers hold (60 s at most)."""

Body = bytes | Callable[[], Iterator[bytes]] | None
"""Whole bytes, or a way to begin a stream of pieces."""


class ServerAnswer:
    """A status, header fields, and a body still to be read. Must be closed."""

    def __init__(self, response: requests.Response, place: str) -> None:
        self._response = response
        self._place = place
        self.status = response.status_code

    def get(self, name: str) -> str | None:
        """A header field's value."""
        value: str | None = self._response.headers.get(name)
        return value

    def pieces(self) -> Iterator[bytes]:
        """The body as it arrives, decoded. Raises Fault when it is cut."""
        raw = self._response.raw
        with mapped(self._place):
            while piece := raw.read1(PIECE, decode_content=True):
                yield piece

    @property
    def next_offset(self) -> str:
        """Where to read on. Raises Fault when the server does not say."""
        offset = self.get(names.NEXT_OFFSET)
        if offset is None:
            raise Fault(
                Exit.FAILED,
                f"status {self.status} without {names.NEXT_OFFSET}: "
                "no stream is served at this URL",
                status=self.status,
            )
        return offset

    def flag(self, name: str) -> bool:
        """Whether a flag of the protocol is set."""
        return names.is_true(self.get(name))

    def close(self) -> None:
        """Return the connection if the body was read, else drop it."""
        self._response.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class StreamRequest:
    """One request to make. ``repeatable``: twice does no more than once."""

    method: str
    parameters: Mapping[str, str | None]
    headers: Mapping[str, str]
    body: Body = None
    live: bool = False
    repeatable: bool = True
    replayable: bool = True
    """Whether the body can be sent from its beginning again."""


class Client:
    """Sends requests about one stream, over kept connections."""

    def __init__(
        self,
        address: StreamAddress,
        fields: tuple[tuple[str, str], ...] = (),
        timeout: float = 30.0,
        live_silence: float = LIVE_SILENCE,
    ) -> None:
        self.address = address
        self._timeout = timeout
        self._live = max(timeout, live_silence)
        self._session = Session(address, fields)

    def read(self, live: str | None = None, **parameters: str | None) -> ServerAnswer:
        """GET, once. A live answer is asked for uncompressed, to come unbuffered."""
        headers = {"Accept-Encoding": "identity"} if live else {}
        wanted = {**parameters, "live": live}
        return self.once(StreamRequest("GET", wanted, headers, live=live is not None))

    def insist(self, ask: StreamRequest, policy: RetryPolicy) -> ServerAnswer:
        """The answer, after further tries where they are safe."""
        while True:
            try:
                answer = self.once(ask)
            except Fault as fault:
                if not _again(ask, fault):
                    raise
                policy.failed(fault)
                continue
            policy.progressed()
            return answer

    def once(self, ask: StreamRequest) -> ServerAnswer:
        """The answer to one request. Raises Fault for 3xx, 4xx and 5xx too."""
        body = ask.body
        with mapped(self.address.place):
            response = self._session.request(
                ask.method,
                self.address.url(**ask.parameters),
                headers=dict(ask.headers),
                data=body() if callable(body) else body,
                timeout=(self._timeout, self._live if ask.live else self._timeout),
                stream=True,
                allow_redirects=ask.method in ("GET", "HEAD"),
            )
        answer = ServerAnswer(response, self.address.place)
        if answer.status < 300:
            return answer
        with answer:
            raise refused(answer.status, answer.get, answer.pieces())

    def close(self) -> None:
        """Close all connections."""
        self._session.close()


def _again(ask: StreamRequest, fault: Fault) -> bool:
    if fault.known is RequestOutcome.UNKNOWN:
        return ask.repeatable and ask.replayable
    return fault.known is RequestOutcome.NOT_DONE and ask.replayable

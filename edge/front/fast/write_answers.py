"""WriteAnswers: the heads of answers to writes, as bytes.

An origin answers most writes alike: its answers to appends differ in the offset alone.
So what was made of the last answer is used again for the next one of the same status,
fields and length, with the new offset in its place: for the second in which ``Date`` is
right, on the same route, and if nothing in it depends on who asked. Anything else is
made anew, by the same rules as on the whole way (``pass_fields``).

Called by ``write_exchange`` for each answer. It sends nothing and counts nothing.
"""

from dataclasses import dataclass

from edge.core.values import Answer, Headers, OriginAnswerHead, PerResponse
from edge.front.fast.plain_requests import PlainWrite
from edge.front.fast.response_encoder import EncodedResponse, ResponseEncoder
from edge.front.options import FrontOptions
from edge.policy.http.url_rewrite import ADDRESS_FIELDS, public_base
from edge.policy.streams import pass_fields
from edge.policy.streams.pass_fields import AskedAt
from edge.policy.streams.routes import Route
from edge.protocol import names
from edge.protocol.http_grammar import BODILESS_STATUSES
from edge.protocol.offsets import is_position

CalledBy = tuple[str, str]
"""The scheme and the host by which a client called."""


@dataclass(slots=True, eq=False)
class _Last:
    """An answer that may come again with another offset, which stands between
    ``before`` and ``between``; the request's id comes behind that."""

    status: int
    length: int | None
    others: Headers
    route: Route
    close: bool
    encoded: EncodedResponse
    before: bytes
    between: bytes


class WriteAnswers:
    """Makes the heads of one worker's answers to writes."""

    def __init__(self, options: FrontOptions, encoder: ResponseEncoder) -> None:
        self._public_url = options.public_url
        self._bases = options.origin_bases
        self._encoder = encoder
        self._last: _Last | None = None

    def encode(
        self, head: OriginAnswerHead, plain: PlainWrite, called: CalledBy, close: bool
    ) -> tuple[EncodedResponse, bytes]:
        """The answer to ``plain``, and the bytes before the request's id in it. Raises
        ValueError when a field could not go out as it is."""
        offset, others = _apart(head.headers)
        judged = plain.block.granted or plain.grant.way or plain.grant.fields
        if offset is None or judged:
            return self._made(head, plain, called, close)
        last = self._last
        if (
            last is not None
            and last.encoded.second == self._encoder.second()
            and (last.status, last.length) == (head.status, head.content_length)
            and last.close is close
            and last.route is plain.line.route
            and last.others == others
        ):
            return last.encoded, last.before + offset.encode("ascii") + last.between
        encoded, before = self._made(head, plain, called, close)
        first, mark, rest = before.partition(_FIELD + offset.encode("ascii") + b"\r\n")
        if mark and not any(name in ADDRESS_FIELDS for name, _ in others):
            self._last = _Last(
                *(head.status, head.content_length, others, plain.line.route, close),
                *(encoded, first + _FIELD, b"\r\n" + rest),
            )
        return encoded, before

    def _made(
        self, head: OriginAnswerHead, plain: PlainWrite, called: CalledBy, close: bool
    ) -> tuple[EncodedResponse, bytes]:
        line, passed = plain.line, plain.passed
        base = public_base(*called, self._public_url)
        fields = pass_fields.response_fields(
            *(head.headers, head.status, head.content_length),
            *(AskedAt(line.path, base, self._bases), line.route, passed),
            judged=bool(plain.grant.way),
        )
        body = b"" if head.status in BODILESS_STATUSES else None
        own = fields + plain.grant.fields
        answer = Answer(head.status, own, body, head.content_length)
        how = PerResponse(pass_fields.passed_status(passed, head.status, head.headers))
        encoded = self._encoder.once(answer, how, line.route, close)
        return encoded, encoded.before


_FIELD = f"\r\n{names.IN_NEXT_OFFSET}: ".encode()


def _apart(headers: Headers) -> tuple[str | None, Headers]:
    """The one offset that an answer names, if any, and all its other fields that are
    passed on."""
    others = []
    offset: str | None = None
    for pair in headers:
        if pair[0] == names.IN_NEXT_OFFSET:
            if offset is not None or not is_position(pair[1]):
                return None, headers
            offset = pair[1]
        elif pair[0] != "date":
            others.append(pair)
    return offset, tuple(others)

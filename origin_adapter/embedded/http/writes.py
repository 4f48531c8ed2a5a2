"""Writes: PUT, POST and DELETE (PROTOCOL.md sections 5.1 to 5.4).

A request becomes a command; the engine answers when it is on disk. A JSON body is
checked before that. Even when the body is no JSON, a closed stream or one of another
type is refused as such first (section 5.2, precedence).
"""

from edge.protocol import names
from origin_adapter.embedded.engine.engine import Engine
from origin_adapter.embedded.http import answers, requests
from origin_adapter.embedded.http.bodies import RequestBodies
from origin_adapter.embedded.http.exchange import ServerRequest, ServerResponse
from origin_adapter.embedded.http.turns import let_others_go
from origin_adapter.embedded.rules import messages, offsets, stream_rules
from origin_adapter.embedded.rules.refusals import RefusalReason, Refused, bad_request
from origin_adapter.embedded.rules.values import (
    AppendToStream,
    CreateStream,
    DeleteStream,
    ForkRequest,
    MessageBatch,
    StreamAppended,
    StreamCreated,
)


class StreamWriteHandler:
    """Makes commands of requests, and answers of outcomes."""

    def __init__(self, engine: Engine, bodies: RequestBodies) -> None:
        self.engine = engine
        self.bodies = bodies
        self.options = engine.options

    def put(self, path: str, req: ServerRequest, resp: ServerResponse) -> None:
        requests.check_fields(req)
        fork = requests.fork(req, self.options.root, self.options.max_path)
        kind = requests.content_type(req)
        lifetime = requests.lifetime(req)
        closed = requests.closed(req)
        body = self._body(req)
        batch = messages.batch(body, self._type(kind, fork), True, let_others_go)
        command = CreateStream(path, kind, lifetime, closed, fork, batch)
        done = self.engine.submit(command)
        assert isinstance(done, StreamCreated)
        self._created(done, req, resp)

    def post(self, path: str, req: ServerRequest, resp: ServerResponse) -> None:
        requests.check_fields(req)
        claim = requests.claim(req)
        seq = requests.seq(req)
        close = requests.closed(req)
        body = self._body(req)
        kind = None
        if body:
            kind = requests.content_type(req)
            if kind is None:
                raise bad_request(
                    RefusalReason.BAD_CONTENT_TYPE, "a body needs a Content-Type"
                )
        elif not close:
            raise bad_request(RefusalReason.EMPTY_BODY, "nothing to append")
        command = AppendToStream(
            path, kind or "", self._batch(path, body, kind), seq, claim, close
        )
        done = self.engine.submit(command)
        assert isinstance(done, StreamAppended)
        _appended(done, command, resp)

    def delete(self, path: str, resp: ServerResponse) -> None:
        self.engine.submit(DeleteStream(path))
        resp.status = 204
        resp.fields["Cache-Control"] = answers.NO_STORE

    def _body(self, req: ServerRequest) -> bytes:
        return self.bodies.read(req.body, self.options.max_body)

    def _batch(self, path: str, body: bytes, kind: str | None) -> MessageBatch | None:
        try:
            return messages.batch(body, kind or "", pause=let_others_go)
        except Refused as malformed:
            stream = self.engine.living(path)
            stream_rules.check_append(
                stream, AppendToStream(path, kind or "", MessageBatch(body))
            )
            raise malformed

    def _type(self, kind: str | None, fork: ForkRequest | None) -> str:
        """The type by which a PUT's body is read: its own, or its source's."""
        if kind is not None:
            return kind
        if fork is None:
            return stream_rules.DEFAULT_TYPE
        try:
            return self.engine.living(fork.source).content_type
        except Refused:
            # The creation of the fork will refuse it with the right word.
            return stream_rules.DEFAULT_TYPE

    def _created(
        self, done: StreamCreated, req: ServerRequest, resp: ServerResponse
    ) -> None:
        stream = done.stream
        resp.status = 201 if done.new else 200
        resp.content_type = stream.content_type
        resp.fields["Cache-Control"] = answers.NO_STORE
        resp.fields[names.NEXT_OFFSET] = offsets.to_text(stream.tail)
        if stream.closed:
            resp.fields[names.CLOSED] = names.TRUE
        if done.new:
            base = base_url(req, self.options.public_url)
            resp.fields["Location"] = base + stream.path


def base_url(req: ServerRequest, public_url: str | None) -> str:
    """Scheme and authority by which clients reach this server."""
    if public_url is not None:
        return public_url.rstrip("/")
    return f"http://{req.host}"


def _appended(
    done: StreamAppended, command: AppendToStream, resp: ServerResponse
) -> None:
    fresh = (
        command.claim is not None and command.batch is not None and not done.duplicate
    )
    resp.status = 200 if fresh else 204
    resp.fields["Cache-Control"] = answers.NO_STORE
    resp.fields[names.NEXT_OFFSET] = offsets.to_text(done.stream.tail)
    if done.stream.closed:
        resp.fields[names.CLOSED] = names.TRUE
    if done.claim is not None:
        resp.fields[names.PRODUCER_EPOCH] = str(done.claim.epoch)
        resp.fields[names.PRODUCER_SEQ] = str(done.claim.seq)

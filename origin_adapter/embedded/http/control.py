"""Control: the reserved ``__ds`` paths (PROTOCOL.md sections 6 and 7).

Requests become commands for the engine; their JSON is read by ``rules.control``.
"""

import json
import time
from typing import Any
from urllib.parse import unquote

from origin_adapter.embedded.engine.engine import Engine
from origin_adapter.embedded.engine.signing import SigningKeys
from origin_adapter.embedded.http import answers
from origin_adapter.embedded.http.bodies import RequestBodies
from origin_adapter.embedded.http.exchange import ServerRequest, ServerResponse
from origin_adapter.embedded.http.writes import base_url
from origin_adapter.embedded.rules import control, subscription_commands, targets
from origin_adapter.embedded.rules.paths import RESERVED, relative
from origin_adapter.embedded.rules.refusals import RefusalReason, Refused
from origin_adapter.embedded.rules.subscriptions import ControlRefused, Fence

MAX_BODY = 1024 * 1024
MAX_ID = 256
JWKS_TYPE = "application/jwk-set+json"

Json = dict[str, Any]


class ControlHandler:
    """Answers everything below the reserved segment."""

    def __init__(
        self, engine: Engine, keys: SigningKeys, bodies: RequestBodies
    ) -> None:
        self.engine = engine
        self.bodies = bodies
        self.keys = keys
        self.options = engine.options

    def __call__(self, path: str, req: ServerRequest, resp: ServerResponse) -> None:
        resp.fields["Cache-Control"] = answers.NO_STORE
        match path[len(self.options.root) :].split("/"):
            case [_, "jwks.json"]:
                self._jwks(req, resp)
            case [_, "subscriptions", id] if id:
                self._base(_id(id), req, resp)
            case [_, "subscriptions", id, "streams"] if id:
                self._link(_id(id), req, resp)
            case [_, "subscriptions", id, "streams", *rest] if id:
                self._unlink(_id(id), unquote("/".join(rest)), req, resp)
            case [_, "subscriptions", id, action] if id:
                self._wake_action(_id(id), action, req, resp)
            case _:
                raise ControlRefused(
                    404, "SUBSCRIPTION_NOT_FOUND", "no such control path"
                )

    def _jwks(self, req: ServerRequest, resp: ServerResponse) -> None:
        _only(req, "GET", "HEAD")
        resp.content_type = JWKS_TYPE
        resp.fields["Cache-Control"] = "public, max-age=300"
        resp.body = json.dumps(self.keys.jwks()).encode()

    def _base(self, id: str, req: ServerRequest, resp: ServerResponse) -> None:
        _only(req, "GET", "HEAD", "PUT", "DELETE")
        base = base_url(req, self.options.public_url)
        if req.method == "DELETE":
            self.engine.submit(subscription_commands.Unsubscribe(id))
            resp.status = 204
            return
        if req.method == "PUT":
            said, new = self._subscribe(id, base, req)
            resp.status = 201 if new else 200
        else:
            said = self._json(subscription_commands.Inspect(id))
        _write(resp, self._with_signing(said, base))

    def _subscribe(self, id: str, base: str, req: ServerRequest) -> tuple[Json, bool]:
        config = control.config(self._body(req))
        if config.webhook is not None:
            try:
                targets.parse(config.webhook, self.options.local_webhooks)
            except targets.BadTarget as bad:
                raise ControlRefused(400, "WEBHOOK_URL_REJECTED", str(bad)) from None
        outcome = self.engine.submit(subscription_commands.Subscribe(id, config, base))
        assert isinstance(outcome, tuple)
        return outcome

    def _link(self, id: str, req: ServerRequest, resp: ServerResponse) -> None:
        _only(req, "POST")
        paths = control.stream_paths(self._body(req).get("streams"))
        self.engine.submit(subscription_commands.LinkStreams(id, tuple(paths)))
        resp.status = 204

    def _unlink(
        self, id: str, path: str, req: ServerRequest, resp: ServerResponse
    ) -> None:
        _only(req, "DELETE")
        self.engine.submit(subscription_commands.UnlinkStream(id, relative(path)))
        resp.status = 204

    def _wake_action(
        self, id: str, action: str, req: ServerRequest, resp: ServerResponse
    ) -> None:
        if action not in ("claim", "callback", "ack", "release"):
            raise ControlRefused(404, "SUBSCRIPTION_NOT_FOUND", "no such control path")
        _only(req, "POST")
        if action == "claim":
            _write(resp, self._claim(id, req))
            return
        token = self.keys.generation(req.field("Authorization"), id)
        report = control.report(self._body(req))
        fence = Fence(token, report.generation, report.wake_id)
        if action == "release":
            self.engine.submit(subscription_commands.ReleaseWake(id, fence))
            resp.status = 204
            return
        command = subscription_commands.Acknowledge(
            id, fence, report, webhook=action == "callback"
        )
        _write(resp, self._json(command))

    def _claim(self, id: str, req: ServerRequest) -> Json:
        worker = control.worker(self._body(req))
        said = self._json(subscription_commands.ClaimWake(id, worker))
        said["token"] = self.keys.token(id, said["generation"], time.time())
        return said

    def _with_signing(self, said: Json, base: str) -> Json:
        """Add the signing key to a webhook subscription (section 6.3)."""
        if said["webhook"] is not None:
            said["webhook"]["signing"] = {
                "alg": "ed25519",
                "kid": self.keys.kid,
                "jwks_url": f"{base}{self.options.root}{RESERVED}/jwks.json",
            }
        return said

    def _json(self, command: subscription_commands.SubscriptionCommand) -> Json:
        outcome = self.engine.submit(command)
        assert isinstance(outcome, dict)
        return outcome

    def _body(self, req: ServerRequest) -> Json:
        return control.parse(self.bodies.read(req.body, MAX_BODY))


def denied(denial: ControlRefused) -> ServerResponse:
    """A denial as the protocol writes it: ``{"error": {"code": …}}``."""
    error: Json = {"code": denial.code, **denial.more}
    if denial.message:
        error["message"] = denial.message
    resp = ServerResponse(denial.status, fields={"Cache-Control": answers.NO_STORE})
    _write(resp, {"error": error})
    return resp


def _write(resp: ServerResponse, said: Json) -> None:
    resp.content_type = "application/json"
    resp.body = json.dumps(said).encode()


def _only(req: ServerRequest, *methods: str) -> None:
    if req.method not in methods:
        allow = (("Allow", ", ".join((*methods, "OPTIONS"))),)
        raise Refused(405, RefusalReason.METHOD, "not a method of this path", allow)


def _id(segment: str) -> str:
    id = unquote(segment, errors="replace")
    if len(id) > MAX_ID or not id.isprintable():
        raise ControlRefused(
            400, "INVALID_REQUEST", f"an id has 1 to {MAX_ID} characters"
        )
    return id

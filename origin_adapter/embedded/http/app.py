"""The application: which request goes where (Falcon).

Everything below the root is a stream, except the reserved ``__ds``. Falcon's sinks are
used and not its routes: a stream's key is its path as it was sent, and routes match
decoded paths.
"""

import re
import time
from collections import OrderedDict
from typing import Any

import falcon

from edge.core.client_bounds import counted
from origin_adapter.embedded.engine.engine import Engine
from origin_adapter.embedded.engine.signing import SigningKeys
from origin_adapter.embedded.http import answers, requests
from origin_adapter.embedded.http.bodies import RequestBodies
from origin_adapter.embedded.http.control import ControlHandler, denied
from origin_adapter.embedded.http.reads import StreamReadHandler
from origin_adapter.embedded.http.writes import StreamWriteHandler
from origin_adapter.embedded.rules import paths
from origin_adapter.embedded.rules.refusals import RefusalReason, Refused
from origin_adapter.embedded.rules.subscriptions import ControlRefused

_ANY_PATH = re.compile("")
MAX_CLIENTS = 10_000
"""Clients whose rate is remembered. The one that asked longest ago is dropped first."""
METHODS = "GET, HEAD, PUT, POST, DELETE, OPTIONS"


class StreamHandler:
    """Everything below the root that is not reserved."""

    def __init__(
        self, engine: Engine, keys: SigningKeys, bodies: RequestBodies
    ) -> None:
        self.options = engine.options
        self.reads = StreamReadHandler(engine)
        self.writes = StreamWriteHandler(engine, bodies)
        self.control = ControlHandler(engine, keys, bodies)

    def __call__(self, req: falcon.Request, resp: falcon.Response, **_: Any) -> None:
        path = req.env["PATH_INFO"]
        root = self.options.root
        if req.method == "OPTIONS":
            answers.fields(resp, answers.PREFLIGHT)
            resp.set_header("Allow", METHODS)
            resp.status = falcon.HTTP_204
            return
        if path.startswith(root) and paths.is_reserved(path, root):
            self.control(path, req, resp)
            return
        self._stream(paths.check(path, root, self.options.max_path), req, resp)

    def _stream(self, path: str, req: falcon.Request, resp: falcon.Response) -> None:
        match req.method:
            case "GET":
                self.reads.get(path, requests.read(req), req, resp)
            case "HEAD":
                self.reads.head(path, resp)
            case "POST":
                self.writes.post(path, req, resp)
            case "PUT":
                self.writes.put(path, req, resp)
            case "DELETE":
                self.writes.delete(path, resp)
            case _:
                raise Refused(
                    405,
                    RefusalReason.METHOD,
                    "not a method of streams",
                    (("Allow", METHODS),),
                )


class RateLimiter:
    """A token bucket per client (section 12.5): a rate, and a burst."""

    def __init__(self, rate: float, burst: int) -> None:
        self.rate = rate
        self.burst = burst
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def wait(self, client: str, now: float) -> float:
        """Seconds until the client may send again; 0.0: now, and it is counted."""
        full_at = max(now, self._full_at.get(client, now))
        over = full_at - now - (self.burst - 1) / self.rate
        # A rest of floating point is not worth a refusal.
        if over > 1e-9:
            return over
        self._full_at[client] = full_at + 1 / self.rate
        self._full_at.move_to_end(client)
        if len(self._full_at) > MAX_CLIENTS:
            self._full_at.popitem(last=False)
        return 0.0


class OriginFields:
    """The fields of every answer, and the rate limit before every request."""

    def __init__(self, rates: RateLimiter | None, bodies: RequestBodies) -> None:
        self.rates = rates
        self.bodies = bodies

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        if self.rates is None:
            return
        client = counted(req.env.get("REMOTE_ADDR", ""))
        wait = self.rates.wait(client, time.monotonic())
        if wait > 0:
            after = (("Retry-After", str(int(wait) + 1)),)
            raise Refused(429, RefusalReason.RATE, "too many requests", after)

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: Any, ok: bool
    ) -> None:
        answers.fields(resp, answers.COMMON)
        self.bodies.release(req)


def create_app(engine: Engine, keys: SigningKeys) -> falcon.App[Any, Any]:
    """The origin as a WSGI application over one engine."""
    options = engine.options
    rates = None if options.rate is None else RateLimiter(options.rate, options.burst)
    bodies = RequestBodies(options.max_bodies, options.body_timeout)
    app = falcon.App(middleware=[OriginFields(rates, bodies)])
    app.add_error_handler(Refused, _refused)
    app.add_error_handler(ControlRefused, denied)
    # Not a prefix of "/": the target of ``OPTIONS *`` has none.
    app.add_sink(StreamHandler(engine, keys, bodies), prefix=_ANY_PATH)
    return app


def _refused(
    req: falcon.Request, resp: falcon.Response, refusal: Refused, params: Any
) -> None:
    answers.problem(resp, refusal)

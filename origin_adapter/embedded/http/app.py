"""The application: which request goes where (Falcon).

Everything below the root is a stream, but for the reserved ``__ds``. Falcon's
sinks are used and not its routes, because a stream's key is its path as it was
sent, and routes match decoded ones.
"""

import time
from typing import Any

import falcon

from origin_adapter.embedded.engine.engine import Engine
from origin_adapter.embedded.engine.signing import Keys
from origin_adapter.embedded.http import answers, requests
from origin_adapter.embedded.http.bodies import Bodies
from origin_adapter.embedded.http.control import Control, denied
from origin_adapter.embedded.http.reads import Reads
from origin_adapter.embedded.http.writes import Writes
from origin_adapter.embedded.rules import paths
from origin_adapter.embedded.rules.rates import Rates
from origin_adapter.embedded.rules.refusals import Refused, Why
from origin_adapter.embedded.rules.subscriptions import Denied

METHODS = "GET, HEAD, PUT, POST, DELETE, OPTIONS"


class Streams:
    """Everything below the root that is not reserved."""

    def __init__(self, desk: Engine, keys: Keys, bodies: Bodies) -> None:
        self.options = desk.options
        self.reads = Reads(desk)
        self.writes = Writes(desk, bodies)
        self.control = Control(desk, keys, bodies)

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
                    405, Why.METHOD, "not a method of streams", (("Allow", METHODS),)
                )


class Common:
    """What every answer carries, and the rate limit before every request."""

    def __init__(self, rates: Rates | None, bodies: Bodies) -> None:
        self.rates = rates
        self.bodies = bodies

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        if self.rates is None:
            return
        wait = self.rates.wait(req.env.get("REMOTE_ADDR", ""), time.monotonic())
        if wait > 0:
            after = (("Retry-After", str(int(wait) + 1)),)
            raise Refused(429, Why.RATE, "too many requests", after)

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: Any, ok: bool
    ) -> None:
        answers.fields(resp, answers.COMMON)
        self.bodies.release(req)


def create_app(desk: Engine, keys: Keys) -> falcon.App[Any, Any]:
    """The origin as a WSGI application over one desk."""
    options = desk.options
    rates = None if options.rate is None else Rates(options.rate, options.burst)
    bodies = Bodies(options.max_bodies, options.body_timeout)
    app = falcon.App(middleware=[Common(rates, bodies)])
    app.add_error_handler(Refused, _refused)
    app.add_error_handler(Denied, denied)
    app.add_sink(Streams(desk, keys, bodies), prefix="/")
    return app


def _refused(
    req: falcon.Request, resp: falcon.Response, refusal: Refused, params: Any
) -> None:
    answers.problem(resp, refusal)

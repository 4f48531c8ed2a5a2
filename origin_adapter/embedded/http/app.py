"""The application: which request goes where, and what becomes of its refusal.

Everything below the root is a stream, except the reserved ``__ds``. There are no
routes: a stream's key is its path as it was sent, and the method says the rest.
"""

import logging
import time
from collections import OrderedDict

from edge.core.client_bounds import counted
from origin_adapter.embedded.engine.engine import Engine
from origin_adapter.embedded.engine.signing import SigningKeys
from origin_adapter.embedded.http import answers, requests
from origin_adapter.embedded.http.bodies import RequestBodies
from origin_adapter.embedded.http.control import ControlHandler, denied
from origin_adapter.embedded.http.exchange import ServerRequest, ServerResponse
from origin_adapter.embedded.http.reads import StreamReadHandler
from origin_adapter.embedded.http.writes import StreamWriteHandler
from origin_adapter.embedded.rules import paths
from origin_adapter.embedded.rules.refusals import RefusalReason, Refused
from origin_adapter.embedded.rules.subscriptions import ControlRefused

MAX_CLIENTS = 10_000
"""Clients whose rate is remembered. The one that asked longest ago is dropped first."""
METHODS = "GET, HEAD, PUT, POST, DELETE, OPTIONS"

_log = logging.getLogger(__name__)


class StreamHandler:
    """Everything below the root that is not reserved."""

    def __init__(
        self, engine: Engine, keys: SigningKeys, bodies: RequestBodies
    ) -> None:
        self.options = engine.options
        self.reads = StreamReadHandler(engine)
        self.writes = StreamWriteHandler(engine, bodies)
        self.control = ControlHandler(engine, keys, bodies)

    def __call__(self, req: ServerRequest, resp: ServerResponse) -> None:
        """Make the answer. Raises Refused, ControlRefused."""
        path = req.path
        root = self.options.root
        if req.method == "OPTIONS":
            resp.status = 204
            resp.fields.update(answers.PREFLIGHT, Allow=METHODS)
            return
        if path.startswith(root) and paths.is_reserved(path, root):
            self.control(path, req, resp)
            return
        self._stream(paths.check(path, root, self.options.max_path), req, resp)

    def _stream(self, path: str, req: ServerRequest, resp: ServerResponse) -> None:
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


class OriginApp:
    """The origin as a function of requests, over one engine. Never raises."""

    def __init__(self, engine: Engine, keys: SigningKeys) -> None:
        options = engine.options
        rate = options.rate
        self._rates = None if rate is None else RateLimiter(rate, options.burst)
        self._bodies = RequestBodies(options.max_bodies, options.body_timeout)
        self._streams = StreamHandler(engine, keys, self._bodies)

    def __call__(self, req: ServerRequest) -> ServerResponse:
        resp = ServerResponse()
        try:
            if self._rates is not None:
                _limit(self._rates, req.client)
            self._streams(req, resp)
            return resp
        except Refused as refusal:
            return answers.problem(refusal)
        except ControlRefused as denial:
            return denied(denial)
        except Exception:
            # The outermost guard of a request: a defect must not end the connections
            # of others, and its client is told.
            _log.exception("%s %s", req.method, req.path)
            return answers.defect()
        finally:
            self._bodies.release(req.body)


def _limit(rates: RateLimiter, client: str) -> None:
    """Raises Refused (rate)."""
    wait = rates.wait(counted(client), time.monotonic())
    if wait > 0:
        after = (("Retry-After", str(int(wait) + 1)),)
        raise Refused(429, RefusalReason.RATE, "too many requests", after)

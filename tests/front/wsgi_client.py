"""Calls a WSGI application as gunicorn does: the raw target, nothing checked.

Falcon's own test client adds a validator that insists on a Content-Type, which
an origin need not send, and rebuilds targets, which this edge must not see.
"""

import io
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from edge.front.app.app import exchange_of

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Reply:
    """What the application said."""

    status: int
    fields: list[tuple[str, str]]
    body: bytes

    def __getitem__(self, name: str) -> str:
        """The value of a field, by lower-case name; it must stand there once."""
        [value] = self.all(name)
        return value

    def __contains__(self, name: str) -> bool:
        return bool(self.all(name))

    def all(self, name: str) -> list[str]:
        """All values of a field, by lower-case name."""
        return [value for key, value in self.fields if key.lower() == name]

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class WsgiClient:
    """Requests to one application, one at a time."""

    app: Application

    def __call__(
        self,
        method: str,
        target: str,
        fields: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Reply:
        """One request; ``target`` goes out as it is."""
        environ = _environ(method, target, fields or {}, body)
        heads: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]]) -> None:
            heads.append((status, headers))

        chunks = self.app(environ, start_response)
        content = b"".join(chunks)
        exchange_of(environ).ctx.release()
        [(status, headers)] = heads
        return Reply(int(status.split()[0]), headers, content)


def _environ(
    method: str, target: str, fields: Mapping[str, str], body: bytes | None
) -> dict[str, Any]:
    path, _, query = target.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "RAW_URI": target,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.1",
        "HTTP_HOST": "edge.test",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body or b""),
        "wsgi.errors": sys.stderr,
    }
    if body is not None:
        environ["CONTENT_LENGTH"] = str(len(body))
    for name, value in fields.items():
        key = name.upper().replace("-", "_")
        environ["CONTENT_TYPE" if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
    return environ

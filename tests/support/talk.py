"""A plain HTTP client for outer tests: one socket per request, read as it comes.

Knows nothing of the edge. A time-out of the socket is a failure, not a result.
"""

import json
import socket
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

PATIENCE = 60.0


class Talk:
    """One request that was sent, and what has been read of its answer."""

    def __init__(
        self, url: str, method: str = "GET", body: bytes = b"", **fields: str
    ) -> None:
        parts = urlsplit(url)
        self.sock = socket.create_connection(
            (parts.hostname or "", parts.port or 80), timeout=PATIENCE
        )
        self._file = self.sock.makefile("rb")
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        said = {"host": parts.netloc, **fields}
        if method in ("POST", "PUT"):
            said.setdefault("content-length", str(len(body)))
        head = "".join(f"{k.replace('_', '-')}: {v}\r\n" for k, v in said.items())
        self.sock.sendall(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + body)

    def head(self) -> tuple[int, dict[str, str]]:
        """Status and fields, names in lower case."""
        line = self._file.readline()
        if not line:
            raise ConnectionError("the connection ended before an answer")
        fields: dict[str, str] = {}
        while (raw := self._file.readline()) not in (b"\r\n", b""):
            name, _, value = raw.decode("latin-1").partition(":")
            fields[name.lower()] = value.strip()
        return int(line.split()[1]), fields

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """The whole answer; its body ends by length or by chunks."""
        status, fields = self.head()
        if "content-length" in fields:
            return status, fields, self._file.read(int(fields["content-length"]))
        if fields.get("transfer-encoding") == "chunked":
            return status, fields, b"".join(iter(self.chunk, b""))
        return status, fields, b""

    def chunk(self) -> bytes:
        """The next piece of a chunked body; b"" at its end."""
        size = int(self._file.readline() or b"0", 16)
        piece = self._file.read(size)
        self._file.readline()
        return piece

    def until(self, word: bytes) -> bytes:
        """Read pieces of a chunked body until ``word`` is among what came."""
        seen = b""
        while word not in seen:
            piece = self.chunk()
            if not piece:
                raise ConnectionError(f"the body ended without {word!r}")
            seen += piece
        return seen

    def __enter__(self) -> "Talk":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        self.sock.close()


def ask(
    url: str, method: str = "GET", body: bytes = b"", **fields: str
) -> tuple[int, dict[str, str], bytes]:
    """One request, and its whole answer."""
    with Talk(url, method, body, **fields) as talk:
        return talk.answer()


def ask_json(url: str) -> Any:
    """The document at ``url``."""
    return json.loads(ask(url)[2])

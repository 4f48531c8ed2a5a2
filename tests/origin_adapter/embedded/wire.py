"""A client that sends exactly what it is told, over gevent sockets."""

import json
from dataclasses import dataclass
from typing import Any

from gevent import socket

TIMEOUT = 30.0


@dataclass(frozen=True)
class Reply:
    """One answer; field names are lower-case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def offset(self) -> str:
        return self.headers["stream-next-offset"]

    @property
    def reason(self) -> str:
        """The origin's reason word."""
        return str(json.loads(self.body)["reason"])

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """One connection to a server at ``HOST:PORT``."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self.sock = socket.create_connection((host, int(port)), timeout=TIMEOUT)
        self.file = self.sock.makefile("rb")

    def send(self, raw: bytes) -> None:
        self.sock.sendall(raw)

    def ask(self, method: str, target: str, body: bytes = b"", **fields: str) -> Reply:
        """One request, with fields named as in Python (``stream_ttl``)."""
        said = {name.replace("_", "-"): value for name, value in fields.items()}
        head = [f"{method} {target} HTTP/1.1", "host: test.example"]
        head += [f"{name}: {value}" for name, value in said.items()]
        if body or method in ("POST", "PUT"):
            head.append(f"content-length: {len(body)}")
        self.send("\r\n".join([*head, "", ""]).encode("latin-1") + body)
        return self.reply(bodiless=method == "HEAD")

    def reply(self, bodiless: bool = False) -> Reply:
        """The next answer, whole."""
        status, headers = self.head()
        if bodiless or status in (100, 204, 304):
            return Reply(status, headers, b"")
        if headers.get("transfer-encoding") == "chunked":
            return Reply(status, headers, b"".join(iter(self.chunk, b"")))
        if "content-length" not in headers:
            # To a client of HTTP/1.0: the body ends with the connection.
            return Reply(status, headers, self.file.read())
        length = int(headers["content-length"])
        body = self.file.read(length)
        assert len(body) == length
        return Reply(status, headers, body)

    def head(self) -> tuple[int, dict[str, str]]:
        """The head of the next answer."""
        line = self.file.readline()
        assert line.startswith(b"HTTP/1.1 "), line
        headers: dict[str, str] = {}
        while (field := self.file.readline()) not in (b"\r\n", b""):
            name, _, value = field.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        return int(line.split()[1]), headers

    def chunk(self) -> bytes:
        """The next chunk of a chunked body; b"" at its end."""
        size = int(self.file.readline(), 16)
        piece: bytes = self.file.read(size)
        assert self.file.readline() == b"\r\n"
        return piece

    def at_end(self) -> bool:
        """Whether the server closed the connection."""
        try:
            return self.file.read(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self.file.close()
        self.sock.close()

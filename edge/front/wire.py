"""An Answer as the bytes of a whole HTTP/1.1 response, without Falcon.

For what is answered before there is a request that an application could take:
malformed heads, connections past the limit. Such a connection always closes.
"""

from email.utils import formatdate

from edge.core.values import Answer, Headers
from edge.protocol.http_grammar import reason_phrase


def closing(answer: Answer, fields: Headers, server: str) -> bytes:
    """Status line, the fields of both, body; ``Connection: close``."""
    body = answer.body or b""
    framing: Headers = (
        ("Server", server),
        ("Date", formatdate(usegmt=True)),
        ("Connection", "close"),
        ("Content-Length", str(len(body))),
    )
    lines = [f"HTTP/1.1 {answer.status} {reason_phrase(answer.status)}"]
    lines += [f"{name}: {value}" for name, value in framing + answer.headers + fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body

"""Paths: which paths may name a stream (section 12.2, L26).

A path is a stream's key exactly as it was sent, percent-encoding and all. What
another program could read as another path is refused: dot segments, NUL,
backslash and control characters, plain or encoded, and broken encodings.
"""

import re

from origin_adapter.embedded.rules.refusals import Refused, Why, bad_request

_PLAIN = re.compile(r"/[A-Za-z0-9\-._~!$&'()*+,;=:@/%]*", re.ASCII)
_BROKEN = re.compile(r"%(?![0-9A-Fa-f]{2})", re.ASCII)
_FORBIDDEN = re.compile(r"%(?:[01][0-9A-Fa-f]|7[Ff]|5[Cc])", re.ASCII)
_DOT = re.compile(r"%2[Ee]", re.ASCII)
_SLASH = re.compile(r"%2[Ff]", re.ASCII)
RESERVED = "__ds"


def check(path: str, root: str, limit: int) -> str:
    """The path if it may name a stream below ``root``; raises Refused."""
    if len(path) > limit:
        raise bad_request(Why.BAD_PATH, f"a path has at most {limit} characters")
    if _PLAIN.fullmatch(path) is None or _BROKEN.search(path):
        raise bad_request(Why.BAD_PATH, "the path has characters it must encode")
    if _FORBIDDEN.search(path):
        raise bad_request(Why.BAD_PATH, "control characters and backslash in a path")
    segments = _DOT.sub(".", _SLASH.sub("/", path)).split("/")
    if "." in segments or ".." in segments:
        raise bad_request(Why.BAD_PATH, "dot segments in a path")
    if not path.startswith(root) or path == root:
        raise Refused(404, Why.NOT_FOUND, f"streams live below {root}")
    if is_reserved(path, root):
        raise Refused(404, Why.NOT_FOUND, f"{RESERVED} is reserved")
    return path


def is_reserved(path: str, root: str) -> bool:
    """Whether a path belongs to the control interface (section 6)."""
    return path[len(root) :].split("/", 1)[0] == RESERVED

"""Cache-Control as any cache reads it: a list of directives (RFC 9111 section 5.2).

It parses, and decides nothing: what a directive means for a stream is judged in
``edge.policy.streams.freshness``.
"""

import re

# A directive's name, and its argument where there is one. An argument whose
# quote never ends is none: what follows is read on as directives, so that a
# broken field can only forbid more.
_DIRECTIVE = re.compile(
    r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+)"
    r'(?:[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^",\s]*)))?'
)


def directives_of(field: str) -> dict[str, str | None]:
    """The directives of a Cache-Control field: lower-case name to argument.

    Quoted arguments lose their quotes and escapes. Never raises; the last of
    two directives with one name is kept.
    """
    found: dict[str, str | None] = {}
    for match in _DIRECTIVE.finditer(field):
        name, quoted, token = match.group(1, 2, 3)
        value = token if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        found[name.lower()] = value
    return found

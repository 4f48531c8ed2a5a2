"""``Cache-Status`` as text (RFC 9211), for the header and the access log.

One member, this cache's own. ``hit`` and ``fwd`` exclude each other (section
2.1); ``collapsed`` and ``stored`` go with ``fwd`` only. ``detail`` is the
reason word, which is a token.
"""

from functools import lru_cache

from edge.core.values import CacheStatus


@lru_cache(maxsize=1024)
def member(name: str, status: CacheStatus) -> str:
    """The list member that says what the cache ``name`` did."""
    return "; ".join((name, *_parameters(status)))


def _parameters(status: CacheStatus) -> list[str]:
    words = ["hit"] if status.hit else _forwarding(status)
    if status.ttl is not None:
        words.append(f"ttl={status.ttl}")
    if status.detail is not None:
        words.append(f"detail={status.detail.value}")
    return words


def _forwarding(status: CacheStatus) -> list[str]:
    if status.fwd is None:
        return []
    words = [f"fwd={status.fwd}"]
    if status.fwd_status is not None:
        words.append(f"fwd-status={status.fwd_status}")
    if status.stored:
        words.append("stored")
    if status.collapsed:
        words.append("collapsed")
    return words

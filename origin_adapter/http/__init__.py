"""A real origin over HTTP/1.1: our own small, strict pool of connections.

Files in reading order: ``options`` (what may be set), ``wire`` (a request's
bytes), ``head`` and ``body`` (an answer's bytes), ``connection`` and ``dial``
(one socket), ``pool`` (slots and idle connections), ``exchange`` (an answer
while it arrives) and ``origin`` (one call from beginning to end).
"""

from origin_adapter.http.options import HttpOptions
from origin_adapter.http.origin import HttpOrigin
from origin_adapter.http.pool import PoolCounts

__all__ = ["HttpOptions", "HttpOrigin", "PoolCounts"]

"""A real origin over HTTP/1.1: our own small, strict pool of connections.

Files in reading order: ``options`` (what may be set), ``request_encoder`` (a
request's bytes), ``response_parser`` (an answer's bytes), ``connection`` (one
socket), ``pool`` (slots and idle connections), ``exchange`` (a request and its
answer over one connection) and ``origin`` (one call from beginning to end).
``origin_adapter.tls`` stands beside them: settings use it too, and know no pool.
"""

from origin_adapter.http.options import HttpOptions
from origin_adapter.http.origin import HttpOrigin
from origin_adapter.http.pool import PoolCounts

__all__ = ["HttpOptions", "HttpOrigin", "PoolCounts"]

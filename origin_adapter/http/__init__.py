"""A real origin over HTTP/1.1: our own small, strict pool of connections.

Files in reading order: ``options`` (what may be set), ``request_encoder`` (a
request's bytes), ``response_parser`` (an answer's bytes), ``connection`` (one socket on
the event loop), ``dialing`` (making it), ``pool`` (slots, idle connections, times),
``call`` (the machine: one call from beginning to end) and ``origin`` (the port, for
those who wait and those who do not).
``origin_adapter.tls`` stands beside them: settings use it too, and know no pool.
"""

from origin_adapter.http.options import HttpOptions
from origin_adapter.http.origin import HttpOrigin
from origin_adapter.http.pool import PoolCounts

__all__ = ["HttpOptions", "HttpOrigin", "PoolCounts"]

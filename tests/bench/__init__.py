"""Benchmarks: run by hand, recorded in docs/performance.md, never asserted.

``make bench`` runs this package: our edge beside nginx, Varnish, the reference server
alone and a floor. To read it begin with ``__main__``, then ``measure`` and ``peers``.
``origin`` is a benchmark of its own, of the embedded origin; ``polls`` one of the http
origin's calls.
"""

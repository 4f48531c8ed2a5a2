"""The edge for Durable Streams: a caching, coalescing proxy for stream readers.

Floors, each importing only from those below it (``tests/test_floors.py`` walks the
imports): ``protocol``, ``core``, ``streamlog``, ``policy``, ``live``, ``front`` with
``admin``, ``process``, ``settings``, ``wiring`` with ``origin`` and ``supervisor``, and
on top ``cli``.
``docs/architecture.md`` follows a request through the files.
"""

__version__ = "0.1.0"

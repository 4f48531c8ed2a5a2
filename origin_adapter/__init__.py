"""Origins: everything that can stand behind the edge as ``edge.core.ports.Origin``.

``http`` is a strict pool of connections to a real server; ``scripted`` are
fakes with behaviour, for tests. Nothing here knows what is cached or shared;
all of it imports ``edge.protocol`` and nothing else of ``edge``.
"""

"""Origins: everything that can stand behind the edge as ``edge.core.ports.Origin``.

``http`` is a strict pool of connections to a real server. ``embedded`` is such a
server itself: the origin that comes with the edge, in a process of its own.
``scripted`` are fakes with behaviour, for tests only. ``tls`` is how any of them is
spoken to by TLS. No origin knows what is cached or shared. Of ``edge`` this package
imports ``edge.protocol`` and ``edge.core``.
"""

"""The front: from a client's socket to a Read, and from an Answer to its bytes.

Here is what every way of serving clients needs: transport, exchange, problems, the
log. ``app`` is the application, ``http1`` the whole way, ``fast`` the fast way.
"""

"""The commands ``bench fanout`` and ``bench hits``: a server measured from outside.

A tool, not a part of the edge: the edge can be understood without it. It measures any
server of streams. Only ``--metrics`` knows of an edge. Parts, from the wire to the
words:

``framing``, ``viewer_reader``
    bytes into answers, answers into events;
``requests``, ``connect_ramp``, ``crowd``, ``appender``
    the connections of a fan-out, on one epoll;
``builtin_client``, ``wrk``
    the two load generators of hits;
``costs``
    what is counted beside the times: memory, processor time, origin requests;
``plan``, ``fanout``, ``hits``
    what a run is asked to do, and how it goes;
``quantiles``, ``results``, ``plot``, ``progress``, ``report``, ``app``
    what is printed and drawn, and the options.
"""

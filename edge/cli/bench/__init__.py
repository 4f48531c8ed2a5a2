"""The commands ``bench fanout`` and ``bench hits``: what a server does, from outside.

They measure any server of streams and know nothing of the edge, but where its
metrics are asked for. Parts, from the wire to the words:

``framing``, ``reader``
    bytes into answers, answers into events; pure;
``requests``, ``viewer``, ``joining``, ``crowd``, ``appender``
    the connections of a fan-out, on one epoll;
``stream``, ``processes``, ``metrics``, ``effort``
    what is made ready, and what is counted beside the times;
``plan``, ``fanout``
    what a run is asked to do, and its conduct;
``quantiles``, ``figures``, ``table``, ``progress``, ``conclusion``, ``app``
    what is told.
"""

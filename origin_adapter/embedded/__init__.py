"""The embedded origin: a whole Durable Streams server in one process.

It is no part of the edge and knows nothing of it except the protocol and a few values.
The edge speaks HTTP with it, as with any other origin. It can be learnt by itself, and
the edge without it.

Four parts, each importing only from those before it, from ``edge.protocol`` and
from ``edge.core``. Read them in this order:

1. ``rules``: what may happen to a stream, a producer, a fork, a subscription.
   Pure: values in, values out, time given. Begin with ``values`` and
   ``stream_rules``.
2. ``store``: the SQLite file. One writer thread, many writes per commit; pages
   are read on connections of their own. Begin with ``store.store``.
3. ``engine``: gevent. Hands batches of commands to the store, wakes parked
   readers, delivers webhooks.
4. ``http``: the server, connections with their strict heads, the application.

``options`` says what may be set, and ``serve`` puts the parts together.

The life of a write: ``http.connection`` reads a head, ``http.writes`` makes a command
of it, ``engine.engine`` puts it into the next batch, ``store.operations`` decides by
``rules.stream_rules`` and writes. One commit makes the whole batch durable. After it
each writer is answered, and ``engine.change_events`` wakes the readers.
"""

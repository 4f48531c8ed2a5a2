"""The embedded origin: a whole Durable Streams server in one process.

Four floors, each importing only from those below it and from ``edge.protocol``:

- ``rules``: what may happen to a stream, a producer, a fork, a subscription.
  Pure: values in, values out, time given.
- ``keep``: the SQLite file. One writer thread, many writes per commit; pages
  are read on connections of their own.
- ``live``: gevent. Hands writes to the keep, wakes parked readers, delivers
  webhooks.
- ``front``: HTTP heads, the Falcon application, the server.

The life of a write: ``front.server`` reads a head, ``front.writes`` makes a
command of it, ``live.desk`` puts it into the next batch, ``keep.acts`` decides
by ``rules.catalogue`` and writes, one commit makes the whole batch durable, and
only then each writer is answered and ``live.bells`` wakes the readers.
"""

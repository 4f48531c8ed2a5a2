"""Load generators beside those of ``ds-edge bench``: many streams, writes, one request.

Each is a process of its own on one epoll, and measures any server of streams. Each
judges what it receives before it tells a figure: every event once, in order, whole. A
run that missed one has ``error`` in what it says, and no place in a table.

    python -m tests.bench.load streams URL --streams 500 --mode sse --events 20000
    python -m tests.bench.load writes URL --connections 32 --size 100
    python -m tests.bench.load single direct=URL edge=URL nginx=URL

Parts, from the wire to the words: ``events`` (what was sent, what must come), ``loop``
(connections on an epoll), ``kept`` (one connection that waits), ``viewers``,
``writers``, ``processes`` (processor time, connections); then ``streams``, ``writes``
and ``single``, which are the runs.
"""

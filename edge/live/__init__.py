"""The hub: everything that is alive in a worker. gevent lives here.

This is the theory of the hub, told once. Each module below tells its own part.

What there is
    Four kinds of rows (``rows``): a Stream for each stream key, with its log; a Reader
    for each read that is not answered yet; a Flight for each fetch under way; a
    Follower for each stream that is polled at its tail. (A fifth, AboveEnd, comes and
    goes with readers above a stream's end.) They are data. No request's
    greenlet owns any of them: a parked viewer is a Reader in a table, and costs
    neither a greenlet nor a stack.

    Where it is exact and worth it, a follower has an event stream of the origin in the
    place of polls (``event_streams``): one request a minute, not one per event. What
    comes between two of its control events counts as the answer to a poll.

Who has a greenlet
    =============== =============================================================
    ``relays``      one for each read that is passed through
    ``lapses``      one for a walk, when leases end earlier than they were to
    ``wakeup``      one for each crowd that is woken in more than one batch
    ``delivery``    one for each body that a thread compresses
    ``ticker``      one for the worker: it looks at the clock every 0.25 s
    ``hub``         one for a drain, and one for a viewer with a long history
    =============== =============================================================

    A flight, a follower and a lent fetch have none. Each is a row, and a call of
    ``upstream`` that tells it on the event loop what the origin says. Whatever is to
    happen soon, and not within what happens now, is called back in the next turn of
    the loop (``upstream.next_turn``): a flight and a follower's first poll are sent,
    a small crowd is woken. A pause is a timer (``upstream.after``).

    Five callables lead from all these to the hub: ``Flights.land``,
    ``Followers.heard``, ``armed`` and ``lost``, and the ticker's look. A Reader also
    knows its ``owner``, the hub. Everything else is called downwards.

The life of a reader
    ``Hub.ask`` makes it NEW and decides it at once. Then it is ::

        DONE      answered, refused, ended, or left by its client
        WAITING   for a flight, for the follower's poll, for its turn to ask above
                  the end (``paced_asks``), or to ask again
        PARKED    live, at the end of what is held, until the log grows; or above it,
                  where the origin echoes (U14)
        RELAYED   passed through by a greenlet of its own, or given an answer that is
                  on its way through files (``spools``), until it is DONE

    WAITING and PARKED readers are decided anew by ``Hub.advance`` when what they wait
    for is there. A read that was answered at once is never seen again, and its answer
    may be kept for others (``answer_cache``, the second entrance).

Decide, then act
    ``edge.policy.streams.decide`` is a pure function of the read, the log and the
    time, with five outcomes: Serve, Park, Fetch, Pass, Refuse. ``Hub._step`` executes
    the outcome. Then the reader is decided again, or it waits. At most
    ``hub.MAX_ROUNDS`` upstream answers later it is served, passed through or refused.

Results are steps
    What an answer, a poll or a write means is judged elsewhere (``fetch_results``,
    ``poll_results``, ``ingest``) and comes back as values, the steps of
    ``edge.live.steps``; ``Hub._do`` executes them. The judges change what is known (a
    row, a log, a tail); only the hub releases readers, wakes crowds and ends
    followers. Judges are generators: a step is executed before the next one is
    computed, because a released reader can change what the next is told, and the one
    whose state changed meanwhile is skipped.

Whose credential goes upstream
    Usually the key's or the edge's own. Where the origin judges each reader (A4), a
    Stream has ``lenders``: the credentials of the readers that wait there. A flight or
    a follower then asks by ``lending``, with the credential of one of them, and with
    others' where it is refused. A refusal ends that one's readers there and then; only
    what is about the stream comes to the judges.

The life of a follower
    Its table is in ``follower_states`` ::

        DUE       it asks in the next turn of the event loop
        ASKING    its poll is under way; armed once that is on the wire (L3)
        PAUSING   it backs off, until a time or until there is news
        BOUND     it waits for what a Retry-After asked
        ENDED     nobody wants it, or its stream is another one now

    An answer is taken in, the next poll is sent, and then the crowd is woken: in this
    order, so that the origin works meanwhile and the crowd is told what the armed poll
    allows to be told.

Where a node has many processes
    Each has a hub of its own, and writes pass through some of them only. Whoever hears
    of one stores that on the node's board (``writes``, W4). Before anything is claimed
    or shown, the board is looked at (``looks``, W5), and what it tells goes to the
    row's Tail: so ``decide`` and all that is said above stay as they are. The origin of
    a front is a keeper. Its answers say of which life of the stream they are, which is
    judged before them (``lineage_results``, W8). The readers of a keeper are fronts,
    and polls of theirs are those of edges (``Reader.is_edge``, U8). Where a process is
    alone, ``HubContext.looks`` is None, and nothing of this happens.

What may switch greenlets
    ``Hub.ask``, ``advance``, ``wrote``, every step, every judge and whatever a call
    tells run from beginning to end without a switch. So rows need no locks, and what a
    judge has seen still holds at its last step. Most of it runs in gevent's own hub,
    where switching would raise. Relaying, waking a large crowd (in batches), ticking
    and draining do switch, between two of these.

Who releases which reader
    Every waiter is released, whatever happens to what it waits for:

    - a flight lands once, however it ends: by an answer, a fault, the stop, a defect.
      Its readers are released by steps. A step that raises ends its reader with a 500.
      If the judge itself raises, every reader that still waits is refused;
    - a follower releases its readers with each poll, and when it ends. Late ones are
      released by the tick, and parked viewers without a follower are decided again;
    - a call tells its end once, however it ends, unless it was cancelled: by whoever
      releases the readers itself. A callback that raises ends its own call;
    - who waits for its turn above an end is drawn, or rides along, within a tick of
      the second; after ``hub.MAX_ROUNDS`` answers, or a drain, it is refused;
    - a relay that breaks aborts its sink;
    - a live reader has a time in the timer wheel, and is answered when it is due;
    - ``stop`` ends all other readers.

    ``context.Guard`` is the outermost guard: it counts and reports a defect, ends the
    reader that met it, and the pass goes on to the next one.

What is not promised
    A crowd is not served in order. A viewer is not woken once per event: it may find
    two at once. A time is kept to a quarter second, no better. A row need not outlive
    its last reader: the memory budget decides. Two hubs share nothing but the board. An
    answer that something in between gave for the origin (``Provenance``) is as old here
    as it was there, but counts as sent after the writes that are known here (L4): the
    part in between has to see to that.
"""

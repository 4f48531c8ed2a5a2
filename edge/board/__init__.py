"""The board: memory that all processes of a node share, made before the first fork.

Where a node has many processes, what one of them does must be known to all others
before anybody is told that it is done. The board is how they know: anonymous memory,
of which each process has a *lane* to store into, and in which a path has a *slot* to
look at. Nothing here waits for another process, and there is no lock: whoever is
stopped or killed at any point stops nobody else.

================== ============================================================
``layout``          where each word and each text lies
``slot_words``      what the words of a slot say, and when an end covers them
``path_digests``    which slot, which keeper and which digest a path has
``memory``          the memory itself, and what all processes know of it
``texts``           what processes tell in their own words, whole at any time
``sums``            numbers summed over all processes, that never go back
``node_board``      the board as the master has it: it gives lanes, and takes them back
``lane_view``       the board as one process has it: the port ``Board``
``keeper_pulse``    what a process knows of a keeper's beats
``keeper_health``   when a keeper is gone round (W6, W7)
``timed_tags``      keys with a time, in words that all processes store into
``node_denials``    what all fronts know of bad credentials and of good ones (W17)
``accept_balance``  when a process lets others accept (W13)
``bounds``          what is bounded for the node, as one process asks for it (W13)
``tally_table``     how many of each key a process has
``fence``           what was stored is seen before anything else is read
================== ============================================================

What makes it hold:

- One process stores into a lane: its holder. The master gives a lane before it forks
  the holder, and takes it back once the holder has been reaped. Into the tables of
  ``timed_tags`` all store: there a store may be lost, and no reader believes a word
  that nobody stored.
- Words are read and stored as whole words, through one ``memoryview`` of words that
  lies at a page's start. That compiles to one load or one store of eight aligned bytes,
  which no processor cuts in two. ``struct.pack_into`` promises none.
- Bytes of a slot are only compared with what was seen. Such a copy could at worst mix
  octets of two words that were both stored since, and only if all of them agree with
  the word that was seen would that go unnoticed. What is judged is read as words.
- An acknowledgement leaves a process by a system call, and reaches another one by a
  system call. What was stored before the first is read after the second.
"""

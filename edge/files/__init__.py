"""Files of the edge's own: concrete behind the ports of ``edge.core.file_ports``.

Whoever is on the event loop never touches a disk: it would stand still for as long as
the disk does. All work is done by the threads of one bounded pool (``threads``), and
its end is told on the event loop. ``spool_folder`` makes files without a name for
answers that are too large to be held (S1). ``file_systems`` tells what a folder lies
on.

Known to wiring, which makes it, and to the command line, which says where it lies.
"""

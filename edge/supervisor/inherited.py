"""Sockets that the service manager holds (sd_listen_fds(3)): it listens before this
program runs and between two runs of it, so that a restart refuses nobody.

They come as open files from number 3 on, ``LISTEN_FDS`` of them, for the process whose
id is ``LISTEN_PID``; gunicorn takes them in place of its own, in their order. With the
embedded origin that id is the supervisor's: it leaves them open for the edge alone,
which says that they are for itself.
"""

import os

FIRST = 3
COUNT, OWNER = "LISTEN_FDS", "LISTEN_PID"


def inherited() -> range:
    """The files that are sockets for this process; empty if there are none."""
    count, owner = os.environ.get(COUNT, ""), os.environ.get(OWNER, "")
    if not count.isdigit() or owner != str(os.getpid()):
        return range(0)
    return range(FIRST, FIRST + int(count))


def take_over() -> None:
    """Be the process that they are for, in place of its parent. Without such ones
    nothing is changed."""
    if os.environ.get(OWNER) == str(os.getppid()):
        os.environ[OWNER] = str(os.getpid())

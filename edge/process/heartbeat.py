"""Where workers give signs of life: in files that gunicorn's master looks at.

The files are empty, and have no name. They go into memory, not to ``/tmp``: a container
often has a root that cannot be written, and a disk that is slow must not make a worker
look dead. Asked by the preflight too. Only the standard library.
"""

import os
import tempfile

SHARED_MEMORY = "/dev/shm"


def heartbeat_folder() -> str | None:
    """The folder for the files; None: the one for temporary files."""
    return SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK | os.X_OK) else None


def heartbeat_refusal() -> str | None:
    """Why no worker could give signs of life; None: it can."""
    try:
        tempfile.TemporaryFile(dir=heartbeat_folder()).close()
    except OSError:
        return (
            f"no file can be made in {SHARED_MEMORY}, nor where temporary files go; "
            "workers need one: mount a folder that can be written (--tmpfs, emptyDir)"
        )
    return None

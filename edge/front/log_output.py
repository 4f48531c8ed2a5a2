"""Where log lines go: a file descriptor, written without waiting for its reader.

The reader of standard error is another program, which may stop reading. A write that
waits for it would stop a master or a whole worker. ``LogOutput`` writes what is taken
now, and returns the rest. It changes nothing that other processes share: a pipe or a
terminal is opened once more for that, and a socket is asked for each write. Files do
not make anybody wait. Where the system refuses to open a pipe again, writes may wait.

Lines of several processes go to one pipe. What is at most PIPE_BUF long is written
whole or not at all (pipe(7)), so pieces end at the ends of lines.

``DirectLog`` is for processes that write few lines: master, supervisor, origin, command
line. It keeps a little of what is not taken, and drops and counts the rest. The worker
has ``edge.front.log.LogWriter``. Only the standard library is imported here: the
supervisor uses it.
"""

import _socket
import os
import stat
import time

from edge.core.log_lines import dropped_line

STDERR = 2
PIECE = 4096
"""PIPE_BUF of Linux; POSIX asks for 512 at least."""

MAX_KEPT = 64 * 1024
"""Bytes that ``DirectLog`` keeps for a reader that is slow."""


class LogOutput:
    """One descriptor, as lines are written to it."""

    def __init__(self, fd: int = STDERR) -> None:
        self._fd = self._given = fd
        self._socket: _socket.socket | None = None
        self._whole_pieces = True
        try:
            kind = os.fstat(fd).st_mode
        except OSError:
            return  # closed: each write says so
        if stat.S_ISSOCK(kind):
            self._socket = _socket.socket(fileno=os.dup(fd))
        elif stat.S_ISFIFO(kind) or os.isatty(fd):
            self._fd = _opened_again(fd)
        else:
            self._whole_pieces = False

    def write(self, data: bytes) -> bytes:
        """Write what is taken now; the rest. Nothing is left when the reader is gone:
        what it did not take is lost."""
        at = 0
        try:
            while at < len(data):
                at += self._send(data[at : self._end_of_piece(data, at)])
        except BlockingIOError:
            return data[at:]
        except OSError:
            return b""
        return b""

    def fileno(self) -> int:
        """Where it writes, for who waits until there is room."""
        return self._fd

    def close(self) -> None:
        """Close what was opened here. The descriptor itself is somebody else's."""
        if self._socket is not None:
            self._socket.close()
        elif self._fd != self._given:
            os.close(self._fd)
            self._fd = self._given

    def _end_of_piece(self, data: bytes, at: int) -> int:
        """Behind whole lines, or a line that is longer than all that goes at once."""
        if not self._whole_pieces or len(data) - at <= PIECE:
            return len(data)
        end = data.rfind(b"\n", at, at + PIECE) + 1 or data.find(b"\n", at) + 1
        return end or len(data)

    def _send(self, piece: bytes) -> int:
        if self._socket is None:
            return os.write(self._fd, piece)
        return self._socket.send(piece, _socket.MSG_DONTWAIT | _socket.MSG_NOSIGNAL)


def _opened_again(fd: int) -> int:
    """The same pipe or terminal, by a description of our own that never waits."""
    flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        return os.open(f"/proc/self/fd/{fd}", flags)
    except OSError:
        return fd


class DirectLog:
    """Writes each line at once, and never waits. ``form`` is that of its own line, and
    ``process`` the name in it."""

    def __init__(self, fd: int = STDERR, form: str = "json") -> None:
        self.form = form
        self.process = ""
        self.dropped = 0
        self._fd = fd
        self._output: LogOutput | None = None
        self._kept = b""

    def put(self, line: str) -> None:
        """Write ``line``, behind what is kept of those before it."""
        if self._output is None:
            self._output = LogOutput(self._fd)
        kept = self._output.write(self._kept)
        if self.dropped:
            told = dropped_line(self.form, time.time(), self.dropped, self.process)
            line = f"{told}\n{line}"
        octets = (line + "\n").encode("utf-8", "replace")
        if len(kept) + len(octets) > MAX_KEPT:
            self.dropped += 1
            self._kept = kept
            return
        self.dropped = 0
        self._kept = kept + octets if kept else self._output.write(octets)

    def forget(self) -> None:
        """What is kept is the parent's to write. Called after a fork."""
        self._kept, self.dropped = b"", 0


direct = DirectLog()
"""This process's own. A fork forgets what its parent kept in it."""

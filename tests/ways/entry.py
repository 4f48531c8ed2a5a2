"""``ds-edge`` with a counter in its worker: ``python -m tests.ways.entry serve ...``.

The counter is set right after the fork, before the worker has a greenlet: each
greenlet inherits it. It lists the product's calls between a begin and an end that come
over a unix socket (its path is in ``WAYS_SOCKET``), read by a thread that is not
counted and that gevent does not know. Import nothing of the product before it is set.
"""

import _socket
import _thread
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import greenlet

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = tuple(f"{ROOT / package}{os.sep}" for package in ("edge", "origin_adapter"))
SOCKET = "WAYS_SOCKET"
_start_thread = _thread.start_new_thread


Stack = tuple[CodeType, ...]
"""The product's functions that a call stands in, itself first."""


class Counter:
    """The product's calls while ``on``, in order.

    A worker ticks also when nobody asks. What it called at rest, with the very same
    callers, is learnt once and never counted: else a figure would hang on the clock.
    """

    def __init__(self) -> None:
        self.on = False
        self._entered: list[Stack] = []
        self._at_rest: set[Stack] = set()

    def install(self) -> None:
        """Count in this thread and in all its greenlets from now on."""
        # Any trace function will do: greenlet turns profiling on again in the greenlet
        # that it switches to, also in one that began before us.
        greenlet.settrace(_switched)
        sys.setprofile(self._profile)

    def begin(self) -> None:
        """Forget what was counted, and count."""
        self._entered = []
        self.on = True

    def learn(self) -> None:
        """Stop: what was counted is what the worker does at rest."""
        self.on = False
        self._at_rest.update(self._entered)

    def size(self) -> int:
        """How many calls so far."""
        return len(self._entered)

    def end(self) -> list[tuple[str, str]]:
        """Stop; the calls, each as file (from the root) and function."""
        self.on = False
        return [
            (os.path.relpath(stack[0].co_filename, ROOT), stack[0].co_qualname)
            for stack in self._entered
        ]

    def _profile(self, frame: FrameType, event: str, _: Any) -> None:
        if not self.on or event != "call":
            return
        if frame.f_code.co_filename.startswith(PRODUCT):
            stack = tuple(_codes(frame))
            if stack not in self._at_rest:
                self._entered.append(stack)


def _codes(frame: FrameType | None) -> Iterator[CodeType]:
    while frame is not None:
        if frame.f_code.co_filename.startswith(PRODUCT):
            yield frame.f_code
        frame = frame.f_back


def _switched(_event: str, _greenlets: Any) -> None:
    pass


def in_worker() -> None:
    """Install a counter in the process just forked, and obey the socket."""
    control = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    control.connect(os.environ[SOCKET])
    counter = Counter()
    _start_thread(_obey, (control, counter))
    counter.install()


def _obey(control: Any, counter: Counter) -> None:
    """One byte is one order; each is answered by one line of JSON."""
    while order := control.recv(1):
        answer: Any = None
        if order == b"b":
            counter.begin()
        elif order == b"l":
            counter.learn()
        elif order == b"s":
            answer = counter.size()
        else:
            answer = counter.end()
        control.sendall(json.dumps(answer).encode() + b"\n")


def main() -> None:
    """Become ``ds-edge``; the arguments are its own."""
    os.register_at_fork(after_in_child=in_worker)
    from edge.cli import main as ds_edge

    ds_edge()


if __name__ == "__main__":
    main()

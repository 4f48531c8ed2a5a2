"""The wiring of the embedded origin, in a process of its own.

The twin of ``edge.wiring``: it names the concrete origin, fills its options from the
settings, and runs it until it is told to stop. It also makes the command line by which
the supervisor runs it. Only ``edge.cli`` calls this module.
"""

import os
import signal
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import gevent
from gevent.event import Event

from edge.front.options import LogOptions
from edge.settings import Settings
from edge.settings.units import Rate
from origin_adapter.embedded.options import Options
from origin_adapter.embedded.serve import AlreadyRunning, RunningOrigin
from origin_adapter.embedded.store.backup import backup as copy_file
from origin_adapter.embedded.store.schema import FILE, StoreError

MAX_POLL = 30.0
"""Seconds that a poll is held at most, as by the reference server."""

MAX_ANSWER = 4 * 1024 * 1024
"""Stored bytes of one catch-up answer. Above that there is little to be won (three of
four pages are read while another one is sent), and an edge gathers an answer before it
hands anything out."""

ATTACHED_GRACE = 1.0
"""Seconds that the origin behind an edge has to stop. The edge has ended by then: only
what it left behind is still to be answered."""

Progress = Callable[[int, int], None]


class CannotServe(Exception):
    """Why the origin does not start, in one sentence."""


class CannotCopy(Exception):
    """Why no copy was made, in one sentence."""


@dataclass(frozen=True, slots=True)
class StandaloneOptions:
    """Options of an origin that clients reach without an edge.

    ``rate`` is per client address. Behind an edge all clients share one address.
    """

    rate: Rate | None = None
    burst: int | None = None


def origin_options(settings: Settings, alone: StandaloneOptions) -> Options:
    """The origin's options, from settings and from what only the command line says."""
    origin = settings.origin
    rate = alone.rate
    return Options(
        data=Path(origin.folder),
        durability=origin.durability,
        public_url=settings.public_url,
        long_poll_timeout=min(settings.live.long_poll_timeout, MAX_POLL),
        sse_lifetime=settings.live.sse_lifetime,
        keep_alive=settings.live.sse_keep_alive,
        body_timeout=settings.limits.body_timeout,
        send_timeout=settings.limits.send_timeout,
        max_body=origin.max_body,
        rate=None if rate is None else rate.count / rate.seconds,
        burst=alone.burst or (rate.count if rate else 1),
        retention_age=origin.retention_age,
        retention_bytes=origin.retention_size,
        local_webhooks=origin.local_webhooks,
        # In JSON mode commas may double what is stored: an edge with these settings
        # takes every answer but that of a single larger message.
        max_answer=min(MAX_ANSWER, settings.cache.max_object // 2),
    )


def log_options(settings: Settings) -> LogOptions:
    """What this process logs. It has no line for a request."""
    log = settings.log
    return LogOptions(format=log.format.value, level=log.level.value, access=0)


def serve(
    options: Options, address: str, grace: float, ready: Callable[[str], None]
) -> None:
    """Serve until TERM or INT; a second one ends at once. Raises CannotServe.

    ``ready`` is called with the address as soon as the origin listens.
    """
    stop = Event()

    def heed() -> None:
        if stop.is_set():
            # Nothing acknowledged is lost: it is on disk.
            os._exit(128 + signal.SIGTERM)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, heed)
    # A gunicorn master acts on these; this process has nothing to reload or reopen.
    for number in (signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    serving = _start(options, address)
    ready(serving.address)
    stop.wait()
    serving.stop(grace)


def _start(options: Options, address: str) -> RunningOrigin:
    try:
        return RunningOrigin(options, address)
    except AlreadyRunning as error:
        raise CannotServe(str(error)) from error
    except StoreError as error:
        raise CannotServe(f"{options.data / FILE}: {error}") from error
    except sqlite3.Error as error:
        raise CannotServe(f"{options.data / FILE} cannot be used: {error}") from error
    except OSError as error:
        where = error.filename or address
        raise CannotServe(f"{where}: {error.strerror or error}") from error


def backup(data: Path, target: Path, force: bool, progress: Progress) -> int:
    """Copy the streams in ``data`` to ``target``; its size. Raises CannotCopy."""
    if target.exists() and not force:
        raise CannotCopy(f"{target} is there already; --force replaces it")
    try:
        return copy_file(data, target, progress)
    except FileNotFoundError as error:
        raise CannotCopy(f"{error.filename or error}: no such file") from error
    except OSError as error:
        raise CannotCopy(f"{error.filename or target}: {error.strerror}") from error
    except sqlite3.Error as error:
        raise CannotCopy(f"{data / FILE} cannot be copied: {error}") from error


def arguments(settings: Settings) -> list[str]:
    """``ds-edge origin`` as the supervisor calls it, with every setting in force.

    No file is read again: the edge has read its settings once, and an origin that is
    restarted must not have other ones.
    """
    origin, live, limits = settings.origin, settings.live, settings.limits
    cache = settings.cache
    said = {
        "origin.data": origin.folder,
        "origin.durability": origin.durability.value,
        "origin.retention_age": _or_null(origin.retention_age),
        "origin.retention_size": _or_null(origin.retention_size),
        "origin.max_body": str(origin.max_body),
        "origin.local_webhooks": str(origin.local_webhooks).lower(),
        "public_url": settings.known_as or "null",
        "live.long_poll_timeout": str(live.long_poll_timeout),
        "live.sse_lifetime": str(live.sse_lifetime),
        "live.sse_keep_alive": str(live.sse_keep_alive),
        "limits.body_timeout": str(limits.body_timeout),
        "limits.send_timeout": str(limits.send_timeout),
        "cache.memory": str(cache.memory),
        "cache.max_page": str(cache.max_page),
        "cache.max_object": str(cache.max_object),
        "shutdown.grace": str(min(settings.shutdown.grace, ATTACHED_GRACE)),
        "log.format": settings.log.format.value,
        "log.level": settings.log.level.value,
    }
    given = [word for key, text in said.items() for word in ("--set", f"{key}={text}")]
    return ["--config", os.devnull, "--listen", f"unix:{origin.socket}", *given]


def _or_null(value: float | None) -> str:
    return "null" if value is None else str(value)

"""Control bodies: what the JSON of a subscription request says (section 6).

Only reads. Raises ControlRefused (INVALID_REQUEST) for anything of the wrong shape.
"""

import json
from dataclasses import dataclass
from typing import Any

from origin_adapter.embedded.rules import offsets
from origin_adapter.embedded.rules.paths import relative
from origin_adapter.embedded.rules.refusals import Refused
from origin_adapter.embedded.rules.subscriptions import (
    BEFORE_FIRST,
    DEFAULT_LEASE,
    MAX_LEASE,
    MIN_LEASE,
    ControlRefused,
    SubscriptionConfig,
    SubscriptionKind,
)

MAX_STREAMS = 10_000
MAX_TEXT = 4096


@dataclass(frozen=True, slots=True)
class Ack:
    """One stream's cursor, as a worker acknowledges it."""

    path: str
    position: int


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """The body of a callback, ack or release."""

    wake_id: object
    generation: object
    acks: tuple[Ack, ...]
    done: bool


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object of a control request; an empty body is an empty object."""
    if not body:
        return {}
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise _invalid("the body is not JSON") from None
    if not isinstance(value, dict):
        raise _invalid("the body must be a JSON object")
    return value


def config(said: dict[str, Any]) -> SubscriptionConfig:
    """What a PUT asks a subscription to be."""
    kind = said.get("type")
    if kind not in ("webhook", "pull-wake"):
        raise _invalid('type must be "webhook" or "pull-wake"')
    pattern = relative(_text(said, "pattern") or "") or None
    streams = stream_paths(said.get("streams") or [])
    if pattern is None and not streams:
        raise _invalid("at least one of pattern and streams is needed")
    webhook = wake_stream = None
    if SubscriptionKind(kind) is SubscriptionKind.WEBHOOK:
        webhook = _webhook(said.get("webhook"))
    else:
        wake_stream = relative(_text(said, "wake_stream") or "") or None
        if wake_stream is None:
            raise _invalid("pull-wake subscriptions need wake_stream")
    return SubscriptionConfig(
        type=kind,
        pattern=pattern,
        streams=tuple(sorted(set(streams))),
        webhook=webhook,
        wake_stream=wake_stream,
        lease_ttl_ms=_lease(said.get("lease_ttl_ms", DEFAULT_LEASE)),
        description=_text(said, "description"),
    )


def stream_paths(value: object) -> list[str]:
    """Stream paths, relative to the root, from a JSON array of texts."""
    if not isinstance(value, list) or len(value) > MAX_STREAMS:
        raise _invalid("streams must be an array of paths")
    found = [relative(item) if isinstance(item, str) else "" for item in value]
    if not all(found) or any(len(path) > MAX_TEXT for path in found):
        raise _invalid("streams must be an array of paths")
    return found


def worker(said: dict[str, Any]) -> str:
    """The name of the worker that claims."""
    name = _text(said, "worker")
    if not name:
        raise _invalid("worker must be a text that is not empty")
    return name


def report(said: dict[str, Any]) -> WorkerReport:
    """What a worker or a webhook's handler reports of its wake."""
    acks = said.get("acks") or []
    if not isinstance(acks, list) or len(acks) > MAX_STREAMS:
        raise _invalid("acks must be an array")
    return WorkerReport(
        wake_id=said.get("wake_id"),
        generation=said.get("generation"),
        acks=tuple(_ack(item) for item in acks),
        done=said.get("done") is True,
    )


def _ack(item: object) -> Ack:
    if not isinstance(item, dict):
        raise _invalid("an ack is an object")
    path = item.get("stream", item.get("path"))
    offset = item.get("offset")
    if not isinstance(path, str) or not isinstance(offset, str):
        raise _invalid("an ack names a stream and an offset")
    try:
        position = offsets.parse(offset)
    except Refused:
        raise ControlRefused(
            409, "INVALID_OFFSET", "not an offset of this server"
        ) from None
    return Ack(relative(path), position)


def _webhook(value: object) -> str:
    url = value.get("url") if isinstance(value, dict) else None
    if not isinstance(url, str) or not url or len(url) > MAX_TEXT:
        raise _invalid("webhook subscriptions need webhook.url")
    return url


def _lease(value: object) -> int:
    if type(value) is not int or not MIN_LEASE <= value <= MAX_LEASE:
        raise _invalid("lease_ttl_ms must be a whole number from 1000 to 600000")
    return value


def _text(said: dict[str, Any], name: str) -> str | None:
    value = said.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise _invalid(f"{name} must be a text of at most {MAX_TEXT} characters")
    return value


def _invalid(message: str) -> ControlRefused:
    return ControlRefused(400, "INVALID_REQUEST", message)


def offset_text(position: int) -> str:
    """The text of an acked position: -1 before the first byte."""
    return "-1" if position == BEFORE_FIRST else offsets.to_text(position)

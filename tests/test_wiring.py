"""A default is written once, in the schema, and wiring carries every setting.

What wiring makes of empty settings is held against the schema field by field: each
field of an options class is filled by a setting, or is a constant that is named here
with its reason. A setting that is changed changes something that wiring makes.
"""

import dataclasses
import enum
import socket
from typing import Any

import pytest
from pydantic import BaseModel

from edge import ask_wiring, file_wiring, origin, wiring
from edge.core.ports import NO_TICKS, never_ready
from edge.core.values import Node
from edge.front.options import (
    FrontOptions,
    Limits,
    LogOptions,
)
from edge.live.context import HubOptions
from edge.policy.streams.answers import FreshnessOptions
from edge.policy.streams.decide import Rules
from edge.policy.streams.routes import Route
from edge.process.options import RecycleOptions, ServerOptions
from edge.process.seat import ALONE
from edge.settings import Settings, load
from edge.settings.files import KeyFile
from edge.settings.schema import RouteSettings
from edge.settings.units import Rate
from origin_adapter.embedded.options import Options
from origin_adapter.http import HttpOptions

CONSTANTS = {
    HubOptions: {
        "bypass_for": "a minute, L15",
        "backoff_first": "the first pause after a failure, L21",
        "backoff_max": "the longest one, L21",
        "no_head_for": "a minute, U12",
        "cold_patience": "how long a cold live reader waits for a dead origin, U2",
        "serves_fronts": "what a process is in its node: by its seat",
        "asks_keepers": "what a process is in its node: by its seat",
        "boot": "of its process, by its seat",
        "board": "the node's, by its seat",
        "bounds": "the node's, by its seat, W13",
    },
    Rules: {"max_probe": "what a check of the end may read again, L7"},
    FreshnessOptions: {},
    Limits: {
        "linger_timeout": "what is still read after a refusal that came early",
        "linger_bytes": "what is still read after a refusal that came early",
    },
    FrontOptions: {
        "fast": "off in tests alone: the reference for the fast way",
        "asks_keepers": "what a process is in its node: by its seat",
        "link": "what a process is in its node: by its seat",
    },
    LogOptions: {
        "blanked": "what often is a credential; routes add their names",
        "process": "who speaks, where there are several processes",
    },
    RecycleOptions: {},
    ServerOptions: {
        "idle_grace": "a moment within shutdown.grace",
        "heartbeat": "gunicorn's time-out for a worker that hangs",
        "keeper_heartbeat": "the same for a keeper, W7",
    },
    HttpOptions: {
        "total_timeout": "none: idle_timeout notices what stands still",
        "queue_timeout": "how long a call waits for a connection",
        "queue_limit": "how many calls wait for a connection",
        "max_idle": "idle connections that are kept",
    },
    Options: {
        "root": "the path of streams, as the reference server has it",
        "shared": "answers are for everybody: the origin knows no users",
        "max_bodies": "what the bodies of all requests may hold together",
        "max_connections": "the limit of open files bounds them too",
        "max_page": "the bytes that are read at a time",
        "max_path": "the length of a stream's path",
        "recent_memory": "what is kept of the tails of streams",
        "tick": "how often what has expired is looked for",
    },
}
"""The fields that no setting fills, by class, each with its reason."""


@pytest.mark.parametrize("options", CONSTANTS, ids=lambda options: options.__name__)
def test_only_what_no_setting_fills_has_a_default(options: type) -> None:
    """A second default beside the schema's would drift from it."""
    defaulted = {
        field.name
        for field in dataclasses.fields(options)
        if field.default is not dataclasses.MISSING
        or field.default_factory is not dataclasses.MISSING
    }

    assert defaulted == set(CONSTANTS[options])


def test_a_route_without_settings_is_the_route_of_the_rules() -> None:
    """The one pair that shares its defaults the other way round: the rules need a
    route for paths that no setting speaks of."""
    assert RouteSettings().to_route() == Route()


def made_of(settings: Settings) -> tuple[object, ...]:
    """Everything that settings become: for one worker, and for the embedded origin."""
    return (
        wiring.hub_options(settings, "node"),
        wiring.front_options(settings, "node"),
        wiring.server_options(settings),
        wiring.http_options(settings),
        repr(wiring.denials_of(settings, wiring.SystemClock())),
        file_wiring.spool_folder(settings),
        file_wiring.disk_place(settings),
        origin.origin_options(settings, origin.StandaloneOptions()),
    )


def changed(value: object) -> object:
    """Another value of the same kind."""
    match value:
        case bool():
            return not value
        case enum.Enum():
            return next(one for one in type(value) if one is not value)
        case int() | float():
            return value + 1
        case Rate(count=count):
            return dataclasses.replace(value, count=count + 1)
        case tuple():
            return (*value, "x-other")
        case None:
            return 7
        case _:
            return f"{value}x"


def keys_in(section: BaseModel, name: str) -> list[str]:
    """Every plain key of a section, and of the sections in it."""
    found = []
    for key in type(section).model_fields:
        value = getattr(section, key)
        path = f"{name}.{key}"
        found += keys_in(value, path) if isinstance(value, BaseModel) else [path]
    return found


def plain_keys() -> list[str]:
    """Every plain key of every section that a process is made of."""
    settings = load(None, {})
    parts = ("node", "live", "cache", "limits", "shutdown", "recycle", "origin")
    return [key for name in parts for key in keys_in(getattr(settings, name), name)]


def with_key(model: Any, path: list[str], new: object) -> Any:
    """A copy in which the key at ``path`` has another value."""
    first, *rest = path
    value = with_key(getattr(model, first), rest, new) if rest else new
    return model.model_copy(update={first: value})


@pytest.mark.parametrize("key", plain_keys())
def test_a_setting_that_changes_changes_what_processes_are_made_of(key: str) -> None:
    environ = {"ORIGIN__URL": "http://127.0.0.1:1", "CACHE__DISK__PATH": "/d"}
    settings = load(None, {f"DS_EDGE_{name}": said for name, said in environ.items()})
    path = key.split(".")
    if path[-1] in ("follow_after", "headers", "url"):
        return
    value: Any = settings
    for name in path:
        value = getattr(value, name)
    new = KeyFile("f", b"PEM") if key.endswith("_file") else changed(value)
    other = with_key(settings, path, new)

    assert made_of(other) != made_of(settings)


def test_a_node_is_called_as_the_settings_say_or_as_its_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """U10: a token in any case, since it stands in Via and in Cache-Status."""
    named = load(None, {"DS_EDGE_NODE__NAME": "pop-1"})
    assert ask_wiring.node_of(named, "c0ffee") == Node("pop-1", "c0ffee")

    hosts = (("pod-7.x", "pod-7.x"), ("my host/é", "my-host--"), ("", "ds-edge"))
    for host, name in hosts:
        monkeypatch.setattr(socket, "gethostname", lambda host=host: host)
        node = ask_wiring.node_of(load(None, {}), "c0ffee")
        assert (node.name, node.cache) == (name, f"ds-edge/{name}")


def test_the_front_is_given_what_only_the_hub_has() -> None:
    """Each has a default that does nothing: forgotten, no slow client would end."""
    settings = load(None, {"DS_EDGE_ORIGIN__URL": "http://127.0.0.1:1"})
    parts = wiring.EdgeRuntime(settings, "a-node", ALONE).parts

    assert parts.ticks is not NO_TICKS and parts.peek is not never_ready


@pytest.mark.parametrize("said", ["1KiB", "1MiB", "16MiB", "64MiB"])
def test_an_edge_keeps_the_answers_of_an_origin_with_its_settings(said: str) -> None:
    """In JSON mode the commas may double what is stored, and two brackets stand around
    it; the origin that the supervisor starts hears of the edge's bound."""
    names = ("CACHE__MAX_OBJECT", "CACHE__MAX_PAGE")
    settings = load(None, {f"DS_EDGE_{name}": said for name in names})

    options = origin.origin_options(settings, origin.StandaloneOptions())
    given = origin.arguments(settings)

    assert 0 < 2 * options.max_answer <= settings.cache.max_object
    assert f"cache.max_object={settings.cache.max_object}" in given

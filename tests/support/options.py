"""Options as the product has them when nothing is set, for tests that change a few.

Made by wiring from empty settings, so that a default is written once, in the schema.
Each takes changes by keyword.
"""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from edge import origin, wiring
from edge.core.values import Node
from edge.front.options import FrontOptions, Limits, LogOptions
from edge.live.context import HubOptions
from edge.policy.streams.answers import FreshnessOptions
from edge.policy.streams.decide import Rules
from edge.process.options import RecycleOptions, ServerOptions
from edge.settings import Settings, load
from origin_adapter.embedded.options import Options
from origin_adapter.http import HttpOptions

NODE = Node("here", "c0ffee")
"""Who the edge of a test is."""


@cache
def settings() -> Settings:
    """What holds when nothing is set."""
    return load(None, {})


def hub_options(**changes: Any) -> HubOptions:
    made = replace(wiring.hub_options(settings(), NODE.id), node=NODE)
    return replace(made, **changes)


def rules(**changes: Any) -> Rules:
    return replace(hub_options().rules, **changes)


def freshness_options(**changes: Any) -> FreshnessOptions:
    return replace(hub_options().freshness, **changes)


def limits(**changes: Any) -> Limits:
    return replace(wiring.limits_of(settings()), **changes)


def front_options(**changes: Any) -> FrontOptions:
    """Before an origin that knows itself by no address."""
    made = wiring.front_options(settings(), NODE.id)
    made = replace(made, node=NODE, origin_bases=())
    return replace(made, **changes)


def server_options(**changes: Any) -> ServerOptions:
    return replace(wiring.server_options(settings()), **changes)


def log_options(**changes: Any) -> LogOptions:
    return replace(server_options().log, **changes)


def recycle_options(**changes: Any) -> RecycleOptions:
    return replace(server_options().recycle, **changes)


def http_options(url: str, **changes: Any) -> HttpOptions:
    made = replace(wiring.http_options(settings()), url=url, host=None)
    return replace(made, **changes)


def embedded_options(data: Path, **changes: Any) -> Options:
    made = origin.origin_options(settings(), origin.StandaloneOptions())
    return replace(made, data=data, **changes)

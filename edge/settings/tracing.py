"""The settings of traces: where they go, and which requests are traced.

Used by ``schema`` alone. An endpoint needs the extra ``otel``; whether it is installed
is looked at without importing it.
"""

import re
from importlib.util import find_spec
from typing import Annotated

from pydantic import AfterValidator, Field

from edge.core.tracing import Trust
from edge.settings import fragments
from edge.settings.fields import NodeName, SecretHeaders, Share, matching
from edge.settings.fragments import told
from edge.settings.section import Section

_ENDPOINT = re.compile(r"https?://[^\s/?#@]+(/[!-~]*)?", re.ASCII)
_NEEDED = "opentelemetry.exporter.otlp.proto.http"
INSTALL = "pip install 'durable-streams-edge[otel]'"


def is_installed() -> bool:
    """Whether the packages of the extra are there."""
    try:
        return find_spec(_NEEDED) is not None
    except ModuleNotFoundError:
        return False


def _installed(endpoint: str) -> str:
    if not is_installed():
        raise ValueError(f"needs packages that are not installed: {INSTALL}")
    return endpoint


Endpoint = Annotated[
    str,
    matching(_ENDPOINT, "a URL such as http://collector:4318/v1/traces", repeat=False),
    AfterValidator(_installed),
    told(fragments.ENDPOINT),
]
"""The whole URL to which spans are posted."""


class TracingSettings(Section):
    """Whether traces are made, and of what."""

    endpoint: Endpoint | None = None
    headers: SecretHeaders = Field(default_factory=dict)
    service: NodeName = "ds-edge"
    sample: Share = 100
    clients: Trust = Trust.IGNORE

    @property
    def plain_headers(self) -> tuple[tuple[str, str], ...]:
        """``headers`` with the secrets in plain."""
        found = self.headers.items()
        return tuple((name, value.get_secret_value()) for name, value in found)

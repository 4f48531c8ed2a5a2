"""Settings as text for people and as data for programs, secrets masked.

Called by ``ds-edge check``, and for the defaults that help tells. The text is YAML; it
loads again, except masked secrets.
"""

from typing import Any

import yaml
from pydantic import SecretStr

from edge.settings.fields import FOR_PEOPLE
from edge.settings.schema import Settings

MASK = str(SecretStr("any"))
"""The text in place of every secret, whatever its length."""


def as_text(settings: Settings) -> str:
    """YAML with units as people write them."""
    return yaml.safe_dump(for_people(settings), sort_keys=False, allow_unicode=True)


def for_people(settings: Settings) -> dict[str, Any]:
    """The same before it is YAML: durations and sizes are text with units."""
    return settings.model_dump(mode="json", by_alias=True, context=FOR_PEOPLE)


def as_data(settings: Settings) -> dict[str, Any]:
    """Plain data for JSON: durations in seconds, sizes in bytes."""
    return settings.model_dump(mode="json", by_alias=True)

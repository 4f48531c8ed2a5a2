"""Section: a mapping of settings. Used by ``schema`` and ``access``."""

from pydantic import BaseModel, ConfigDict
from pydantic.fields import FieldInfo


class Section(BaseModel):
    """A mapping of settings. An unknown key is an error."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=False
    )


def keys_of(section: type[Section]) -> dict[str, FieldInfo]:
    """A section's fields by the keys that are written. A key that pydantic has another
    use for is the alias of its field."""
    fields = section.model_fields.items()
    return {field.alias or name: field for name, field in fields}

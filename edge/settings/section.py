"""Section: a mapping of settings. Used by ``schema`` and ``access``."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A mapping of settings. An unknown key is an error."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=False
    )

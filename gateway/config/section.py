"""What all sections of ``routes.yaml`` have in common."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A section of the file: frozen, and strict about its keys."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, arbitrary_types_allowed=True, hide_input_in_errors=True
    )

"""The switches of the sandbox's JSON APIs."""

from pydantic import BaseModel, ConfigDict, Field

from gateway.sandbox import SANDBOX_API_KEY


class WebhookSandboxSettings(BaseModel):
    """What the stand-ins for HTTP APIs do and do not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str = Field(default=SANDBOX_API_KEY, description="The key that they take, in whatever way each wants it.")
    idempotent: bool = Field(default=False, description="The plain API honours Idempotency-Key.")
    searches: str = Field(
        default="works", pattern="^(works|ignored|empty)$", description="What a search does with its criterion."
    )
    session_calls: int = Field(default=0, ge=0, description="Calls that a GLPI session lasts; 0: for ever.")
    refused_titles: list[str] = Field(default=[], description="Pieces of titles that it answers with 400.")

"""The switches of the sandbox's mail server and the helpdesk behind it."""

from pydantic import BaseModel, ConfigDict, Field

from gateway.config.values import Size
from gateway.sandbox import SANDBOX_API_KEY


class SmtpSandboxSettings(BaseModel):
    """What an administrator of the mail server, or of the helpdesk that reads its mailbox, could set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    deduplicates: bool = Field(default=False, description="A second mail with the same Message-ID makes nothing.")
    by_subject: bool = Field(
        default=True, description="Mails are threaded by `[tg:TOKEN]` where no reference is known."
    )
    log_in: bool = Field(default=False, description="Mails are taken only after AUTH.")
    accounts: dict[str, str] = Field(default={"gateway": SANDBOX_API_KEY}, description="User: password.")
    refused: list[str] = Field(default=[], description="Recipients that it does not know (550).")
    busy: list[str] = Field(default=[], description="Recipients that it takes later (450).")
    refused_files: list[str] = Field(default=[], description="Endings of attachments that it refuses (554).")
    max_message: Size = Field(default=30 * 2**20, description="Largest mail (SIZE).")
    state_header: str = Field(default="X-Ticket-State", description="A header that sets the ticket's state.")

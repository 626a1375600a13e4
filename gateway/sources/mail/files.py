"""A file of a mail, as the mail has it."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class File:
    """An attachment as the mail has it.

    ``name`` is as the sender wrote it; ``media_type`` is the declared one, else what the content looks like;
    ``detected_type`` is only what the content looks like.
    """

    name: str
    media_type: str
    content: bytes = field(repr=False)
    inline: bool = False
    content_id: str = ""
    detected_type: str = ""

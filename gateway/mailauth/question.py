"""A DNS question and its answer, as they cross into the child process."""

from dataclasses import dataclass
from typing import Final, Literal

RecordType = Literal["TXT", "A", "AAAA", "MX", "PTR"]
Question = tuple[str, RecordType]
"""A name in lower case without the dot of the root, and what is asked for."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What DNS says. ``failed``: why nothing is known; else no records means that there are none.

    ``texts`` are TXT records with their strings joined; ``names`` the addresses or names of A, AAAA and PTR records;
    ``exchanges`` MX records as preference and name.
    """

    failed: str = ""
    texts: tuple[bytes, ...] = ()
    names: tuple[str, ...] = ()
    exchanges: tuple[tuple[int, str], ...] = ()


NOTHING: Final = Answer()

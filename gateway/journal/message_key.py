"""The key of our Message-IDs, where the configuration names none: a file beside the journal, made at the first start.

Only the gateway's user may read it. One key a line, newest first: the first signs, all are accepted. To change the key,
write a new line above the old ones and restart; take an old line away when no answer to its mails is to be expected any more.
"""

import os
import secrets
from pathlib import Path

from gateway.journal.protocol import JournalError
from gateway.model.message_ids import LEAST_KEY

NAME = "message-id.key"
"""Name of the file, in the journal's folder."""


def key_path(journal: Path) -> Path:
    """Where the key of a journal's gateway lies."""
    return journal.parent / NAME


def read_keys(path: Path) -> tuple[bytes, ...]:
    """The keys in the file, newest first; none if there is no file.

    Raises:
        JournalError: the file cannot be read, or a line of it is too short for a key.
    """
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise JournalError(f"the key of Message-IDs {path} cannot be read: {error.strerror}") from error
    keys = tuple(line.strip() for line in lines if line.strip() and not line.lstrip().startswith(b"#"))
    if not keys or any(len(key) < LEAST_KEY for key in keys):
        raise JournalError(
            f"{path} does not hold keys of at least {LEAST_KEY} characters, one a line; mend it, or take it away to have a "
            "new one made (answers to earlier mails are then known by their participants only)"
        )
    return keys


def read_or_make_keys(path: Path) -> tuple[bytes, ...]:
    """The keys in the file; it is made with one new key if it is not there. Durable when this returns.

    Raises:
        JournalError: as `read_keys`, or the file cannot be written.
    """
    found = read_keys(path)
    return found or _make(path)


def is_open_to_others(path: Path) -> bool:
    """Whether others than its owner may read the file."""
    try:
        return bool(path.stat().st_mode & 0o077)
    except OSError:
        return False


def copy_keys(path: Path, folder: Path) -> None:
    """Copy the file, if there is one, into the folder of a backup; durable when this returns, the folder's entry apart.

    Raises:
        OSError: it cannot be read or written.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    _write(folder / path.name, content)


def _make(path: Path) -> tuple[bytes, ...]:
    key = secrets.token_hex(32).encode()
    beside = path.with_name(f"{path.name}.new")
    try:
        beside.unlink(missing_ok=True)  # of a start that was cut off
        _write(beside, key + b"\n")
        beside.rename(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise JournalError(f"the key of Message-IDs {path} cannot be made: {error.strerror}") from error
    return (key,)


def _write(path: Path, content: bytes) -> None:
    """Make a file that is its owner's alone from its first moment on."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - a path would not bear the mode
        file.write(content)
        file.flush()
        os.fsync(file.fileno())

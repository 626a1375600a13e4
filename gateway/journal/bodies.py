"""Bodies above 64 KiB as files beside the database: named by their owner and digest, never shared, never half written."""

import contextlib
import errno
import hashlib
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gateway.journal.protocol import AttachmentGone, JournalBroken, JournalError, JournalFull

INLINE = 64 * 1024
"""Octets up to which a body stays in its row."""

_FULL = {errno.ENOSPC, errno.EDQUOT}
_NO_HANDLE = {errno.EMFILE, errno.ENFILE}  # passes as soon as some connection ends; nothing was written
_HANDLE_PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a body is: in its row (``content``) or in a file (``file``, relative to the folder of bodies)."""

    content: bytes | None
    file: str | None


class Bodies:
    """The folder of body files. All methods block; they run in a worker thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @staticmethod
    def is_large(content: bytes) -> bool:
        """Whether these bytes go into a file."""
        return len(content) > INLINE

    def store(self, owner: str, content: bytes) -> Stored:
        """Make large bytes durable as a file; small ones are given back as they are.

        Raises:
            JournalFull: there is no room.
            JournalBroken: the disk failed.
        """
        if not self.is_large(content):
            return Stored(content, None)
        digest = hashlib.sha256(content).hexdigest()
        name = f"{digest[:2]}/{owner}.{digest}"
        try:
            self._write(name, content)
        except OSError as error:
            if error.errno in _NO_HANDLE:
                raise JournalFull(f"no file handle is free for a body: {error.strerror}; raise `ulimit -n`") from error
            if error.errno in _FULL:
                raise JournalFull(f"no room for a body of {len(content)} octets: {error.strerror}") from error
            raise JournalBroken(f"cannot write a body to {self.folder}: {error}") from error
        return Stored(None, name)

    def _write(self, name: str, content: bytes) -> None:
        path = self.folder / name
        if not path.parent.is_dir():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _sync_folder(self.folder)
            _sync_folder(self.folder.parent)
        temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        try:
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                view = memoryview(content)
                while view:
                    view = view[os.write(handle, view) :]
                os.fsync(handle)
            finally:
                os.close(handle)
            temporary.rename(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        _sync_folder(path.parent)

    def load(self, stored: Stored) -> bytes:
        """The bytes again; the digest in a file's name is checked.

        Raises:
            AttachmentGone: the file is gone or is not what was written.
            JournalError: it cannot be read.
        """
        if stored.content is not None:
            return stored.content
        if stored.file is None:
            raise JournalError("a body was never stored")
        try:
            content = _read(self.folder / stored.file)
        except FileNotFoundError as error:
            raise AttachmentGone(f"the body file {stored.file} is gone") from error
        except OSError as error:
            raise JournalError(f"the body file {stored.file} cannot be read: {error.strerror}") from error
        if hashlib.sha256(content).hexdigest() != stored.file.rpartition(".")[2]:
            raise AttachmentGone(f"the body file {stored.file} is damaged: its digest is not the one in its name")
        return content

    def remove(self, names: Iterable[str]) -> None:
        """Unlink files whose rows are gone. What cannot be unlinked is an orphan that the next start removes."""
        for name in names:
            with contextlib.suppress(OSError):
                (self.folder / name).unlink()

    def names(self) -> list[str]:
        """Every file there is, temporary ones included."""
        return [f"{path.parent.name}/{path.name}" for path in self.folder.glob("*/*") if path.is_file()]

    def older(self, name: str, instant: float) -> bool:
        """Whether a file was last written before ``instant``."""
        try:
            return (self.folder / name).stat().st_mtime < instant
        except OSError:
            return False

    def copy(self, names: Iterable[str], target: Path) -> None:
        """Copy files into the folder of bodies of a backup, durably."""
        other = Bodies(target)
        for name in names:
            content = self.load(Stored(None, name))
            other._write(name, content)


def _read(path: Path) -> bytes:
    """The file's bytes; while no file handle is free it waits, because what is durable must not fail for that."""
    end = time.monotonic() + _HANDLE_PATIENCE
    while True:
        try:
            return path.read_bytes()
        except OSError as error:
            if error.errno not in _NO_HANDLE or time.monotonic() > end:
                raise
            time.sleep(0.1)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

"""Checks of ``include``."""

from collections.abc import Iterator
from pathlib import Path as FilePath

from gateway.config.includes import is_pattern, matching
from gateway.config.subject import Check, Note, Subject, info, warning


def includes(subject: Subject) -> Iterator[Note]:
    """Patterns have files. A folder may wait for its first one; one that is not there is probably misspelt."""
    config = subject.config
    listed = isinstance(config.include, list)
    for index, text in enumerate(config.include if isinstance(config.include, list) else [config.include]):
        if not is_pattern(text) or matching(config.folder, text):
            continue
        fixed = FilePath(*_before_pattern(FilePath(text).parts[:-1]))
        folder = config.folder / fixed
        note = info if folder.is_dir() else warning
        hint = "" if folder.is_dir() else f"the folder {folder} is not there"
        yield note(("include", index) if listed else ("include",), f"no file matches '{text}'", hint)


def _before_pattern(parts: tuple[str, ...]) -> Iterator[str]:
    for part in parts:
        if is_pattern(part):
            return
        yield part


INCLUDE_CHECKS: tuple[Check, ...] = (includes,)
"""All checks of this module."""

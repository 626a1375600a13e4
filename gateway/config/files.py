"""The files that a configuration names: ticket templates and lists for ``in_file``, read once, with caps."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path as FilePath

from gateway.config.config import Templates
from gateway.config.document import Node, walk
from gateway.config.problems import Path
from gateway.routing.lookups import Table

MAX_TEMPLATE = 256 * 1024
"""Largest template file, in octets."""
MAX_TEMPLATES = 1000
"""Most template files."""
MAX_LIST = 16 * 2**20
"""Largest file that ``in_file`` names, in octets."""


class FileFault(Exception):
    """A file that cannot be used; the message names it."""


def read_templates(folder: FilePath) -> Templates:
    """All ``*.j2`` files one folder deep: folder -> file -> text. A folder that is not there holds nothing.

    Raises:
        FileFault: for a file that cannot be read, is no UTF-8, or is over the cap.
    """
    found: dict[str, dict[str, str]] = {}
    if not folder.is_dir():
        return found
    count = 0
    try:
        for file in sorted(folder.glob("*/*.j2")):
            count += 1
            if count > MAX_TEMPLATES:
                raise FileFault(f"{folder} holds more than {MAX_TEMPLATES} templates")
            found.setdefault(file.parent.name, {})[file.name] = read_text(file, MAX_TEMPLATE)
        for inner in sorted(each for each in folder.iterdir() if each.is_dir() and not each.name.startswith(".")):
            found.setdefault(inner.name, {})
    except OSError as error:
        raise FileFault(f"{folder} cannot be read: {error.strerror}") from None
    return found


def read_list(file: FilePath) -> tuple[str, ...]:
    """The lines of a file, without blanks around them, empty lines and lines that begin with ``#``.

    Raises:
        FileFault: as `read_templates`.
    """
    lines = (line.strip() for line in read_text(file, MAX_LIST).splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


def named_lists(root: Node) -> Iterator[tuple[Path, str]]:
    """Every ``in_file`` below a ``match``."""
    for path, node in walk(root):
        if path and path[-1] == "in_file" and "match" in path and isinstance(node.data, str) and not node.broken:
            yield path, node.data


def digest_of(
    raws: Sequence[bytes], templates: Templates, lists: Mapping[str, tuple[str, ...]], tables: Iterable[Table] = ()
) -> str:
    """Names a configuration with all its files, 64 hex digits. ``raws``: the main file, then what it includes."""
    digest = hashlib.sha256(b"".join(hashlib.sha256(raw).digest() for raw in raws))
    for folder, files in sorted(templates.items()):
        for name, text in sorted(files.items()):
            digest.update(f"\x00{folder}/{name}\x00".encode() + hashlib.sha256(text.encode()).digest())
    for name, lines in sorted(lists.items()):
        digest.update(f"\x01{name}\x00".encode("utf-8", "surrogateescape"))
        digest.update(hashlib.sha256("\n".join(lines).encode()).digest())
    for content in sorted({f"{table.file}\x00{table.digest}" for table in tables}):
        digest.update(b"\x02" + content.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def read_text(file: FilePath, cap: int) -> str:
    """The text of a file of at most ``cap`` octets, UTF-8 with or without byte order mark, its lines ending with a line feed.

    Raises:
        FileFault: as `read_templates`.
    """
    try:
        if not file.is_file():
            raise FileFault(f"the file {file} is not there")
        with file.open("rb") as opened:
            raw = opened.read(cap + 1)
    except (OSError, ValueError) as error:
        raise FileFault(f"the file {file} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(raw) > cap:
        raise FileFault(f"the file {file} is larger than {cap // 1024} KiB")
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise FileFault(f"the file {file} is not UTF-8 in line {line}") from None

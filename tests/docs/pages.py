"""The documentation as tests see it: pages, fenced blocks, inline code, headings."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GENERATED = ("configuration.md", "cli.md", "reasons.md", "metrics.md")

_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+(?:\n[^`\n]+)?)`")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_ANCHOR = re.compile(r'<a id="([^"]+)">')


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block, with the page and line where it begins."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """All pages for readers: README, changelog, docs, and the pages beside sources, helpdesks and sender files."""
    found = [ROOT / "README.md", ROOT / "CHANGELOG.md", *ROOT.glob("docs/*.md")]
    found += [*ROOT.glob("gateway/*/*/README.md"), *ROOT.glob("deploy/*/README.md")]
    return sorted(found)


def blocks(page: Path, language: str | None = None) -> list[Block]:
    """The page's fenced blocks, of one language or all."""
    text = page.read_text(encoding="utf-8")
    found = [Block(page, text.count("\n", 0, match.start()) + 1, match[1], match[2]) for match in _FENCE.finditer(text)]
    return [block for block in found if language is None or block.language == language]


def all_blocks(*languages: str) -> list[Block]:
    """The blocks of these languages on all pages."""
    return [block for page in pages() for block in blocks(page) if block.language in languages]


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def inline_code(page: Path) -> Iterator[str]:
    """Everything between single backticks, on one line."""
    for match in _CODE.finditer(prose(page)):
        yield " ".join(match[1].split())


def anchors(page: Path) -> set[str]:
    """What a link to the page may name: its headings as GitHub names them, and explicit anchors."""
    text = prose(page)
    named = {_slug(heading) for heading in _HEADING.findall(text)}
    return named | set(_ANCHOR.findall(text))


def _slug(heading: str) -> str:
    kept = re.sub(r"[^\w\- ]", "", heading.replace("`", "").strip().lower())
    return kept.replace(" ", "-")

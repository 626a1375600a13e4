"""The Dockerfile as tests read it: instructions, and what it copies from the checkout."""

import re
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def instructions() -> list[tuple[str, str]]:
    """Name and rest of every instruction, continuation lines joined."""
    text = re.sub(r"\\\n\s*", " ", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split()[0], line.strip().partition(" ")[2].strip()) for line in lines]


def copied() -> list[str]:
    """What the build stage copies from the checkout."""
    found: list[str] = []
    for name, rest in instructions():
        if name == "COPY" and not rest.startswith("--from"):
            found += rest.split()[:-1]
    return found


def copy_context(target: Path) -> None:
    """Put into ``target`` what the build stage sees, and nothing else."""
    for name in copied():
        there = ROOT / name
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if there.is_dir():
            shutil.copytree(there, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(there, place)

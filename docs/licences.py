"""Print the licences of all runtime dependencies; exit 1 if one of them is not on the list of permissive ones."""  # noqa: INP001 - a script

import json
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

LOCK = Path(__file__).resolve().parent.parent / "lock" / "run.txt"
PERMISSIVE = frozenset(
    {
        "0BSD",
        "Apache Software License",
        "Apache-2.0",
        "BSD",
        "BSD License",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "CNRI-Python",
        "ISC",
        "ISC License (ISCL)",
        "MIT",
        "MIT-0",
        "MIT License",
        "MIT No Attribution",
        "PSF-2.0",
        "Python Software Foundation License",
        "The Unlicense (Unlicense)",
        "Unlicense",
        "ZPL-2.1",
    }
)
FILE_COPYLEFT = {
    "certifi": "Mozilla Public License 2.0 (MPL 2.0)",  # a list of certificates
    "orjson": "MPL-2.0 AND (Apache-2.0 OR MIT)",  # its own files are under the MPL
    "pathspec": "Mozilla Public License 2.0 (MPL 2.0)",  # only builds the wheel
}
"""Used as they are, never changed: the MPL covers its own files and asks nothing of ours. A new licence ends the exception."""


def locked() -> list[str]:
    """The names in the lock that apply to this machine, normalised (PEP 503)."""
    text = LOCK.read_text(encoding="utf-8")
    names = re.findall(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==", text, re.MULTILINE)
    return sorted({normal(name) for name in names if installed(name)})


def normal(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed(name: str) -> bool:
    """False for what the lock holds for other platforms."""
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def allowed(name: str, licence: str) -> bool:
    """True if the licence is permissive, or is the one that an exception was made for."""
    licence = re.sub(r"\s+", " ", licence).strip()
    return FILE_COPYLEFT.get(name) == licence or permissive(licence)


def permissive(licence: str) -> bool:
    """True for an expression that can be met with permissive licences alone; classifiers are joined by ``;``."""
    if licence in PERMISSIVE:
        return True
    if ";" in licence:
        return all(permissive(each.strip()) for each in licence.split(";"))
    for word, meets in ((" OR ", any), (" AND ", all)):  # AND binds closer (SPDX, annex D.4.5)
        parts = _split(licence, word)
        if len(parts) > 1:
            return meets(permissive(part) for part in parts)
    return licence.startswith("(") and licence.endswith(")") and permissive(licence[1:-1])


def _split(text: str, word: str) -> list[str]:
    """The parts between ``word`` outside of parentheses."""
    parts, depth, start = [], 0, 0
    for index, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0 and text.startswith(word, index):
            parts.append(text[start:index].strip())
            start = index + len(word)
    return [*parts, text[start:].strip()]


def main() -> int:
    """0 if all is well."""
    names = locked()
    command = [
        sys.executable,
        "-m",
        "piplicenses",
        "--format=json",
        "--from=mixed",
        "--with-system",
        "--packages",
        *names,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own interpreter, names of our lock
    found = {normal(each["Name"]): each for each in json.loads(done.stdout)}
    missing = [name for name in names if name not in found]
    refused = 0
    for name in names:
        licence = found[name]["License"] if name in found else "not found"
        verdict = "ok" if allowed(name, licence) else "NOT ALLOWED"
        refused += verdict != "ok"
        note = (licence.splitlines() or ["-"])[0][:60]
        sys.stdout.write(f"{name:20} {found.get(name, {}).get('Version', '-'):14} {note:62} {verdict}\n")
    if refused or missing:
        sys.stderr.write(f"{refused} dependencies are not under a permissive licence.\n")
    return 1 if refused or missing else 0


if __name__ == "__main__":
    sys.exit(main())

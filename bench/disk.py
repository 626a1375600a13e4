"""The disk under the bench: which file system, and what an fsync costs on it."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from bench.figures import percentile

_PAGE = b"\x5a" * 4096


@dataclass(frozen=True, slots=True)
class Disk:
    """A folder's file system and its fsync of one appended page, seconds."""

    folder: Path
    kind: str
    device: str
    p50: float
    p95: float

    def __str__(self) -> str:
        return (
            f"{self.kind} on {self.device} under {self.folder}; "
            f"fsync of 4 KiB: p50 {self.p50 * 1000:.2f} ms, p95 {self.p95 * 1000:.2f} ms"
        )


def measure(folder: Path, rounds: int = 200) -> Disk:
    """Append a page and fsync it, ``rounds`` times, as a commit does with its log."""
    path = folder / "fsync.probe"
    seconds: list[float] = []
    with path.open("wb", buffering=0) as file:
        for _ in range(rounds):
            file.write(_PAGE)
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            seconds.append(time.perf_counter() - began)
    path.unlink()
    kind, device = _file_system(folder)
    return Disk(folder, kind, device, percentile(seconds, 0.5), percentile(seconds, 0.95))


def _file_system(folder: Path) -> tuple[str, str]:
    best = ("", "unknown", "unknown")
    wanted = str(folder.resolve())
    try:
        mounts = Path("/proc/mounts").read_text("utf-8", "replace")
    except OSError:
        return best[1], best[2]
    for line in mounts.splitlines():
        device, point, kind, *_ = line.split(" ")
        inside = wanted == point or wanted.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best[0]):
            best = (point, kind, device)
    return best[1], best[2]

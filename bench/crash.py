"""`make bench-crash`: the crash test of the suite, longer."""

import argparse
import secrets
import sys
import tempfile
from pathlib import Path

from tests.crash.harness import run_crashes


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--kills", type=int, default=500)
    arguments.add_argument("--seed", type=int, default=0)
    asked = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        seed = asked.seed or secrets.randbelow(10**6) + 1
        tally = run_crashes(Path(folder), kills=asked.kills, seed=seed, at_least=asked.kills // 20)
    print(tally)
    return 1 if tally.faults else 0


if __name__ == "__main__":
    sys.exit(main())

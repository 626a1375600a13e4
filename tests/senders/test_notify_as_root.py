"""An administrator tries the script as root before Nagios does; the spool must stay Nagios' own."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.harness import free_port
from tests.senders.nagios_core import NOTIFY

NOBODY = 65534


def python() -> str:
    """A Python that everybody on this machine may run; none where we are not root."""
    for path in (sys.executable, "/usr/bin/python3") if os.geteuid() == 0 else ():
        try:
            words = [path, "-c", "import ssl, http.client, json"]
            if subprocess.run(words, capture_output=True, check=False, user=NOBODY).returncode == 0:
                return path
        except OSError:
            continue
    return ""


PYTHON = python()
pytestmark = pytest.mark.skipif(not PYTHON, reason="needs root, and a Python that other users may run")


@pytest.fixture
def spool() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="tg-spool-"))  # pytest's own folder is closed to others
    shutil.chown(folder, NOBODY, NOBODY)
    yield folder
    shutil.rmtree(folder)


def test_what_root_sends_belongs_to_the_owner_of_the_spool(spool: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}/in/x"
    words = [PYTHON, str(NOTIFY), "--spool", str(spool), "--source", url, "json"]
    done = subprocess.run(words, input=b"{}", capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    (event,) = (spool / "new").iterdir()
    assert {path.stat().st_uid for path in (event, spool / "new", spool / "lock")} == {NOBODY}

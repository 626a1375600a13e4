"""What `doctor` and `check` say about the spool."""

import time
from pathlib import Path

import pytest

from gateway.cli.examination import examine
from gateway.config.shipped import shipped_templates
from tests.pipe.house import mail, names, pipe, spool_of

ROUTES = """\
version: 1
server:
  journal: {{url: "sqlite:///journal.db"}}
  {more}
sources:
  support: {{kind: mail}}
unrouted: {{dead_letter: true}}
routes:
  - {{name: all, drop: {{reason: a test}}}}
"""


def findings(folder: Path, area: str = "pipe", more: str = "") -> list[tuple[str, str]]:
    (folder / "routes.yaml").write_text(ROUTES.format(more=more))
    if not (folder / "templates").exists():
        (folder / "templates").symlink_to(shipped_templates())
    found = examine(folder / "routes.yaml", folder / "no-notify-spool")
    return [(one.level.value, one.what) for one in found if one.area == area]


def test_a_spool_that_is_not_there_yet_is_a_note(tmp_path: Path) -> None:
    assert findings(tmp_path) == [("note", f"there is no spool at {tmp_path / 'spool'} yet")]


def test_mail_that_waits_is_counted_and_is_a_fault_once_it_is_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = spool_of(tmp_path)
    pipe(spool, mail(1))
    assert findings(tmp_path) == [("ok", f"1 mail waiting in {spool}")]
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3600)
    ((level, what),) = findings(tmp_path)
    assert (level, what.partition(",")[0]) == ("FAULT", f"1 mail in {spool / 'new'}")
    assert names(spool)


def test_a_spool_that_everybody_may_write_to_is_a_fault(tmp_path: Path) -> None:
    spool = spool_of(tmp_path)
    spool.chmod(0o777)
    pipe(spool, mail(1))
    assert findings(tmp_path)[0] == ("FAULT", f"everybody on this machine may write mail to {spool}")


def test_a_spool_whose_socket_would_have_too_long_a_name_is_an_error(tmp_path: Path) -> None:
    ((level, what),) = findings(tmp_path, "configuration", f"spool: {'x' * 100}")
    assert level == "FAULT"
    assert "server.spool: is too long for the socket in it" in what

"""The script and the real gateway, with everything that comes between them."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from gateway.faultpoints import ENVIRONMENT, Point
from gateway.receive.pipe import unpack
from tests.e2e.process import wait_for
from tests.pipe.house import asked, command, environment, gateway, is_open, mail, names, pipe, rows, spool_of

pytestmark = pytest.mark.processes


def subjects(folder: Path) -> list[str]:
    return [row.subject for row in rows(folder)]


def emptied(spool: Path, seconds: float = 20.0) -> None:
    wait_for(lambda: names(spool) == [], "the spool to be empty", seconds)


def another_look(spool: Path) -> None:
    """Wait until the gateway has looked at the spool once more."""
    before = set(names(spool))
    assert pipe(spool, mail("look"), "--socket", "/nonexistent").returncode == 0
    wait_for(lambda: set(names(spool)) <= before, "another look")


def verb(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "gateway", *words, "--config", str(folder / "routes.yaml")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_a_running_gateway_has_the_mail_when_the_script_ends(tmp_path: Path) -> None:
    spool = spool_of(tmp_path)
    with gateway(tmp_path) as program:
        wait_for(lambda: is_open(spool), "the socket")
        variables = {
            "SENDER": "bob@example.org",
            "RECIPIENT": "new@tickets.example.org",
            "ORIGINAL_RECIPIENT": "support+db@tickets.example.org",
            "EXTENSION": "db",
            "CLIENT_ADDRESS": "192.0.2.7",
            "CLIENT_HELO": "mx.example.org",
        }
        done = pipe(spool, b"From bob@example.org Sat Nov 21 10:00:00 2026\n" + mail(1), variables=variables)
        assert (done.returncode, done.stderr) == (0, b"")
        (row,) = rows(tmp_path)  # at once: the exit code was the promise
        assert names(spool) == []
        assert (row.source, row.body, row.peer) == ("support", mail(1), "192.0.2.7")
        assert row.envelope == {
            "door": "pipe",
            "mail_from": "bob@example.org",
            "rcpt_to": "support+db@tickets.example.org",
            "subaddress": "db",
            "helo": "mx.example.org",
        }
        assert program.events(program.settled(row.id))


def test_what_was_spooled_is_taken_up_in_order_within_a_second_of_the_start(tmp_path: Path) -> None:
    spool = spool_of(tmp_path)
    sizes = {3: 40_000, 7: 200_000}
    for number in range(12):
        assert pipe(spool, mail(number, "x" * sizes.get(number, 1))).returncode == 0
    with gateway(tmp_path):
        wait_for(lambda: len(rows(tmp_path)) == 12, "twelve receipts", 1.0)
        assert subjects(tmp_path) == [f"mail {number}" for number in range(12)]
        emptied(spool, 1.0)


def test_a_file_that_comes_while_the_gateway_runs_is_taken_within_a_second(tmp_path: Path) -> None:
    spool = spool_of(tmp_path)
    with gateway(tmp_path):
        wait_for(lambda: is_open(spool), "the socket")
        began = time.monotonic()
        assert pipe(spool, mail(1), "--socket", str(tmp_path / "nowhere")).returncode == 0
        emptied(spool, 2.0)
        assert time.monotonic() - began < 1.2
        assert subjects(tmp_path) == ["mail 1"]


def test_a_kill_between_commit_and_unlink_doubles_nothing(tmp_path: Path) -> None:
    spool = spool_of(tmp_path)
    bare = b"Subject: mail bare\n\nNo Message-ID, no Date.\n"
    for content in (mail(1), bare):
        assert pipe(spool, content).returncode == 0
    with gateway(tmp_path, env={ENVIRONMENT: f"{Point.ACCEPT_AFTER_COMMIT.value}=1"}, killed=True) as program:
        assert program.process.wait(20) == -signal.SIGKILL
    assert len(names(spool)) == 2
    assert len(rows(tmp_path)) == 2
    with gateway(tmp_path):
        emptied(spool)
    assert subjects(tmp_path) == ["mail 1", "mail bare"]


def test_no_mail_is_lost_or_doubled_while_the_gateway_is_killed(tmp_path: Path) -> None:
    spool = spool_of(tmp_path)
    codes: list[int] = []
    stop = threading.Event()

    def send() -> None:
        number = 0
        while not stop.is_set():
            codes.append(pipe(spool, mail(number)).returncode)
            number += 1

    sender = threading.Thread(target=send)
    sender.start()
    try:
        for _ in range(3):
            with gateway(tmp_path) as program:
                before = len(codes)
                wait_for(lambda: len(codes) >= before + 5, "a few mails")  # noqa: B023 - called within this turn
                program.process.send_signal(signal.SIGKILL)
                program.process.wait()
    finally:
        stop.set()
        sender.join()
    with gateway(tmp_path):
        emptied(spool)
    assert set(codes) == {0}
    assert sorted(subjects(tmp_path)) == sorted(f"mail {number}" for number in range(len(codes)))


def test_two_hundred_at_once(tmp_path: Path) -> None:
    spool = spool_of(tmp_path)
    with gateway(tmp_path):
        began = time.monotonic()
        processes = []
        for number in range(200):
            path = tmp_path / f"{number}.eml"
            path.write_bytes(mail(number))
            with path.open("rb") as file:
                processes.append(subprocess.Popen(command(spool), stdin=file, env=environment()))
        assert [process.wait(60) for process in processes] == [0] * 200
        assert time.monotonic() - began < 30
        emptied(spool)
        assert sorted(subjects(tmp_path)) == sorted(f"mail {number}" for number in range(200))


def test_a_mail_of_25_mb_is_handed_over_and_one_over_the_limit_is_refused(tmp_path: Path) -> None:
    spool = spool_of(tmp_path)
    large = mail(1) + b"0123456789abcde\n" * (25 * 65536)
    with gateway(tmp_path):
        wait_for(lambda: is_open(spool), "the socket")
        assert pipe(spool, large).returncode == 0
        assert names(spool) == []
        assert [row.body == large for row in rows(tmp_path)] == [True]
        done = pipe(spool, large + large)
        assert (done.returncode, done.stderr) == (
            65,
            b"ticket-gateway-pipe: the mail is larger than the gateway takes\n",
        )


def test_a_mail_over_the_limit_that_is_spooled_is_never_refused(tmp_path: Path) -> None:
    spool = spool_of(tmp_path)
    assert pipe(spool, mail(1) + b"0123456789abcde\n" * (45 * 65536)).returncode == 0
    with gateway(tmp_path):
        emptied(spool)
        assert subjects(tmp_path) == ["mail 1"]


def test_a_file_that_is_broken_three_times_is_a_dead_letter_with_its_octets(tmp_path: Path) -> None:
    spool = spool_of(tmp_path)
    for number in range(3):
        pipe(spool, mail(number))
    broken = spool / "new" / names(spool)[1]
    half = broken.read_bytes()[:-20]
    broken.write_bytes(half)
    with gateway(tmp_path) as program:
        emptied(spool)
        found = {row.status: row for row in rows(tmp_path) if row.id == broken.stem}
        assert list(found) == ["dead"]
        assert (found["dead"].body, found["dead"].source) == (half, "support")
        assert sorted(row.subject for row in rows(tmp_path) if row.id != broken.stem) == ["mail 0", "mail 2"]
        listed = verb(tmp_path, "dead", "ls", "--json").stdout
        assert broken.stem in listed
        assert "spool_broken" in listed
        assert "octets" in listed
        tries = [str(line["detail"]) for line in program.lines(event="left in the spool")]
        assert ["1 of 3" in tries[0], "2 of 3" in tries[1], len(tries)] == [True, True, 2]


def test_files_that_are_no_mail_at_all_are_dead_letters_too(tmp_path: Path) -> None:
    spool = spool_of(tmp_path)
    pipe(spool, mail(1))
    name = names(spool)[0]
    others = [f"{name[:-6]}{digit}.mail" for digit in "0123" if digit != name[-6]]
    (spool / "new" / others[0]).write_bytes(b"")
    (spool / "new" / others[1]).write_bytes(os.urandom(500))
    (spool / "new" / others[2]).write_bytes((spool / "new" / name).read_bytes())
    with gateway(tmp_path):
        wait_for(lambda: sum(row.status == "dead" for row in rows(tmp_path)) == 3, "three dead letters")
        emptied(spool)


def test_a_source_that_is_not_there_keeps_the_mail_until_it_is(tmp_path: Path) -> None:
    spool = spool_of(tmp_path)
    assert pipe(spool, mail("lost"), source="sales").returncode == 0
    assert pipe(spool, mail("wrong kind"), source="app").returncode == 0
    assert pipe(spool, mail("good")).returncode == 0
    with gateway(tmp_path) as program:
        wait_for(lambda: subjects(tmp_path) == ["mail good"], "the good one")
        done = pipe(spool, mail("online"), source="sales")
        assert (done.returncode, done.stderr) == (75, b"ticket-gateway-pipe: the gateway has no such source\n")
        told = json.loads(verb(tmp_path, "doctor", "--json").stdout)["findings"]
        assert [one["level"] for one in told if "there is no source 'sales'" in one["what"]] == ["FAULT"]
        another_look(spool)
        assert len(program.lines(event="left in the spool")) == 2  # said once, not with every look
        routes = tmp_path / "routes.yaml"
        routes.write_text(routes.read_text().replace("  app:", "  sales: {kind: mail}\n  app:"))
        program.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "mail lost" in subjects(tmp_path), "the mail of the new source", 5.0)
    assert len(names(spool)) == 1


def test_links_folders_and_strange_names_are_left_alone(tmp_path: Path) -> None:
    spool = spool_of(tmp_path)
    for number in range(3):
        pipe(spool, mail(number))
    first, second, third = ((spool / "new" / name) for name in names(spool))
    secret = tmp_path / "secret"
    first.rename(secret)
    first.symlink_to(secret)
    os.link(second, tmp_path / "second name")
    (spool / "new" / f"{third.stem[:-1]}_.mail").mkdir()
    folder = spool / "new" / f"{third.stem[:-4]}0000.mail"
    folder.mkdir()
    (spool / "new" / ".hidden.mail").write_bytes(mail(9))
    (spool / "tmp" / "half.1").write_bytes(b"half")
    before = names(spool)
    with gateway(tmp_path) as program:
        wait_for(lambda: not third.exists(), "the good one")
        another_look(spool)
        assert names(spool) == [name for name in before if name != third.name]
        assert subjects(tmp_path) == ["mail 2", "mail look"]
        assert secret.exists()
        assert names(spool, "tmp") == ["half.1"]
        told = {line["file"]: line["detail"] for line in program.lines(event="left in the spool")}
        assert set(told) == {first.name, second.name, folder.name}


def test_a_full_disk_leaves_the_mail_in_the_spool_until_there_is_room(tmp_path: Path) -> None:
    spool = spool_of(tmp_path)
    with gateway(tmp_path, min_free="100000GiB"):
        wait_for(lambda: "too little free room" in asked(spool), "the gateway to see the full disk")
        assert pipe(spool, mail(1)).returncode == 0
    assert len(names(spool)) == 1
    assert rows(tmp_path) == []
    with gateway(tmp_path):
        emptied(spool)
        assert subjects(tmp_path) == ["mail 1"]


def test_an_id_of_another_mail_does_not_swallow_this_one(tmp_path: Path) -> None:
    spool = spool_of(tmp_path)
    pipe(spool, mail(1))
    (name,) = names(spool)
    other = (spool / "new" / name).read_bytes().replace(b"mail 1", b"mail 2").replace(b"<1@", b"<2@")
    with gateway(tmp_path):
        emptied(spool)
        (tmp_path / "other").write_bytes(other)
        (tmp_path / "other").rename(spool / "new" / name)
        emptied(spool)
        assert subjects(tmp_path) == ["mail 1", "mail 2"]
        assert unpack(other).id == rows(tmp_path)[0].id


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_hands_over_through_a_folder_of_a_common_group(open_folder: Path) -> None:
    python = Path("/usr/bin/python3")
    if not python.exists():
        pytest.skip("needs a Python that other users may run")
    spool = spool_of(open_folder)
    os.chown(spool, 0, 65534)
    spool.chmod(0o2770)
    copy = open_folder / "pipe"
    copy.write_bytes(Path(command(spool)[3]).read_bytes())
    copy.chmod(0o755)

    def as_nobody(content: bytes) -> int:
        line = [str(copy), "--source", "support", "--spool", str(spool)]
        return subprocess.run(
            line, input=content, user=65534, group=65534, extra_groups=[], cwd="/", timeout=30, check=False
        ).returncode

    with gateway(open_folder):
        wait_for(lambda: is_open(spool), "the socket")
        assert as_nobody(mail(1)) == 0
        assert subjects(open_folder) == ["mail 1"]
    assert as_nobody(mail(2)) == 0
    assert len(names(spool)) == 1
    with gateway(open_folder):
        emptied(spool)
    assert subjects(open_folder) == ["mail 1", "mail 2"]

"""The script by itself: exit codes, spool, bounds. No gateway runs."""

import os
import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.receive.pipe import unpack
from tests.crash.harness import wait_for
from tests.pipe.house import SCRIPT, command, environment, listening, mail, names, pipe, spool_of

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
SLOW_MODULES = {"socket", "signal", "json", "argparse", "email", "re", "typing", "pathlib", "subprocess", "contextlib"}


def test_without_a_gateway_the_mail_is_in_the_spool_byte_for_byte(tmp_path: Path) -> None:
    spool = spool_of(tmp_path)
    content = mail(1).replace(b"Hello.", b"\xff\x00\r\n.\nFrom here\n")
    done = pipe(spool, content, "--recipient", "support@tickets.example.org")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    (name,) = names(spool)
    piped = unpack((spool / "new" / name).read_bytes(), name.removesuffix(".mail"))
    assert (piped.source, piped.body) == ("support", content)
    assert names(spool, "tmp") == []


def test_spool_files_are_for_owner_and_group_only(tmp_path: Path) -> None:
    spool = spool_of(tmp_path)
    spool.chmod(0o2770)
    pipe(spool, mail(1))
    (path,) = (spool / "new").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o2770


def test_names_sort_in_the_order_of_the_mails(tmp_path: Path) -> None:
    spool = spool_of(tmp_path)
    for number in range(5):
        pipe(spool, mail(number))
    bodies = [unpack((spool / "new" / name).read_bytes()).body for name in names(spool)]
    assert bodies == [mail(number) for number in range(5)]


def test_what_is_handed_over_is_what_would_be_spooled(tmp_path: Path) -> None:
    spool = spool_of(tmp_path)
    with listening(spool, OK) as daemon:
        options = ["--sender=Jörg <j@x>", "--queue-id", "4ABC", "a@b", "c@d"]
        done = pipe(spool, mail(1), *options, variables={"EXTENSION": "a b%\t", "CLIENT_ADDRESS": "192.0.2.1"})
    assert done.returncode == 0
    assert names(spool) == []
    (content,) = daemon.requests
    piped = unpack(content)
    assert piped.body == mail(1)
    assert piped.given == {
        "sender": ("Jörg <j@x>",),
        "queue-id": ("4ABC",),
        "recipient": ("a@b", "c@d"),
        "$EXTENSION": ("a b%",),
        "$CLIENT_ADDRESS": ("192.0.2.1",),
    }


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 503 No\r\n\r\n",
        b"HTTP/1.1 500 No\r\n\r\n",
        b"HTTP/1.1 400 No\r\n\r\n",
        b"nonsense\n",
        b"HTTP/1.1\n",
    ],
    ids=["hangs up", "503", "500", "400", "nonsense", "half a line"],
)
def test_any_other_answer_leads_to_the_spool_with_the_same_id(tmp_path: Path, answer: bytes) -> None:
    spool = spool_of(tmp_path)
    with listening(spool, answer) as daemon:
        assert pipe(spool, mail(1)).returncode == 0
    (name,) = names(spool)
    assert unpack(daemon.requests[0]).id + ".mail" == name
    assert (spool / "new" / name).read_bytes() == daemon.requests[0]


@pytest.mark.parametrize(("status", "code"), [(413, 65), (404, 75)])
def test_the_gateways_word_for_good_is_passed_on_and_nothing_is_kept(tmp_path: Path, status: int, code: int) -> None:
    spool = spool_of(tmp_path)
    with listening(spool, b"HTTP/1.1 %d No\r\n\r\n" % status):
        assert pipe(spool, mail(1)).returncode == code
    assert names(spool) == []


def test_a_gateway_that_never_answers_costs_a_third_of_the_time(tmp_path: Path) -> None:
    spool = spool_of(tmp_path)
    with listening(spool, None):
        began = time.monotonic()
        assert pipe(spool, mail(1), "--timeout", "3").returncode == 0
        assert 0.9 < time.monotonic() - began < 2.5
    assert len(names(spool)) == 1


def test_neither_gateway_nor_spool_is_a_temporary_failure(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    done = pipe(blocked, mail(1))
    assert done.returncode == 75
    assert str(tmp_path).encode() not in done.stderr  # the mail's sender may read it
    assert done.stderr.count(b"\n") == 1


@pytest.mark.skipif(
    os.geteuid() != 0 or not Path("/usr/bin/python3").exists(), reason="needs root and a Python for all"
)
def test_a_spool_of_somebody_else_is_a_temporary_failure(open_folder: Path) -> None:
    spool = spool_of(open_folder)
    copy = open_folder / "ticket-gateway-pipe"
    copy.write_bytes(SCRIPT.read_bytes())
    copy.chmod(0o755)
    line = [str(copy), "--source", "support", "--spool", str(spool)]
    refused = subprocess.run(line, input=mail(1), capture_output=True, timeout=30, check=False, user=65534, cwd="/")
    assert refused.returncode == 75
    assert b"Permission denied" in refused.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--source"],
        ["--source="],
        ["--nonsense", "x"],
        ["--source", "a", "--timeout", "x"],
        ["--source", "a", "-f", "--x"],
    ],
)
def test_wrong_usage_is_a_temporary_failure(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(SCRIPT), *arguments], input=b"x", capture_output=True, timeout=30, check=False
    )
    assert done.returncode == 75
    assert done.stderr.startswith(b"ticket-gateway-pipe: ")


def test_no_mail_is_a_temporary_failure(tmp_path: Path) -> None:
    spool = spool_of(tmp_path)
    assert pipe(spool, b"").returncode == 75
    closed = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" <&-', "sh", *command(spool)], capture_output=True, timeout=30, check=False
    )
    assert closed.returncode == 75
    assert names(spool) == []


def test_nobody_to_complain_to_changes_no_exit_code(tmp_path: Path) -> None:
    line = ["/bin/sh", "-c", 'exec "$@" >&- 2>&-', "sh", *command(spool_of(tmp_path))]
    assert subprocess.run(line, input=b"", timeout=30, check=False).returncode == 75
    assert subprocess.run(line, input=mail(1), timeout=30, check=False).returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_with_a_temporary_failure(tmp_path: Path, number: int) -> None:
    spool = spool_of(tmp_path)
    process = subprocess.Popen(command(spool), stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    assert process.stdin is not None
    process.stdin.write(b"Subject: half\n")
    process.stdin.flush()
    wait_for(lambda: _catches(process.pid, number), "it to be ready for signals")
    process.send_signal(number)
    _, complaint = process.communicate(timeout=20)
    assert (process.returncode, complaint) == (75, b"ticket-gateway-pipe: interrupted\n")
    assert names(spool) == []


def _catches(process: int, number: int) -> bool:
    status = Path(f"/proc/{process}/status").read_text()
    caught = int(next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt")), 16)
    return bool(caught >> (number - 1) & 1)


def test_a_mail_that_never_ends_ends_with_the_time(tmp_path: Path) -> None:
    process = subprocess.Popen(
        command(spool_of(tmp_path), "--timeout", "1"), stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    )
    began = time.monotonic()
    assert process.wait(20) == 75
    assert time.monotonic() - began < 5
    process.communicate()


def test_a_large_mail_is_held_once(tmp_path: Path) -> None:
    spool = spool_of(tmp_path)
    content = mail(1) + b"0123456789abcde\n" * (25 * 65536)

    def peak(body: bytes) -> int:
        process = subprocess.Popen(command(spool), stdin=subprocess.PIPE, env=environment())
        assert process.stdin is not None
        process.stdin.write(body)
        process.stdin.close()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        return usage.ru_maxrss * 1024

    small = peak(mail(1))
    assert peak(content) - small < len(content) * 1.2
    sizes = sorted((spool / "new" / name).stat().st_size for name in names(spool))
    assert sizes[1] > len(content)


def test_it_starts_with_few_imports_and_without_site(tmp_path: Path) -> None:
    words = command(spool_of(tmp_path))
    done = subprocess.run(
        [words[0], "-X", "importtime", *words[1:]], input=mail(1), capture_output=True, timeout=30, check=False
    )
    assert done.returncode == 0
    loaded = set(re.findall(r"\|\s+([\w.]+)$", done.stderr.decode(), re.MULTILINE))
    assert "os" in loaded
    assert not loaded & (SLOW_MODULES | {"site"})


def test_its_first_line_isolates_it() -> None:
    assert SCRIPT.read_bytes().startswith(b"#!/usr/bin/python3 -IS\n")
    assert SCRIPT.stat().st_mode & 0o111 == 0o111


def test_help_names_every_option() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(SCRIPT), "--help"], capture_output=True, timeout=30, check=True
    )
    for option in (
        "source",
        "spool",
        "socket",
        "sender",
        "recipient",
        "extension",
        "client",
        "helo",
        "queue-id",
        "timeout",
    ):
        assert f"  --{option} ".encode() in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_what_root_pipes_belongs_to_the_owner_of_the_spool(open_folder: Path) -> None:
    spool = spool_of(open_folder)
    os.chown(spool, 65534, 65534)
    assert pipe(spool, mail(1)).returncode == 0
    (path,) = (spool / "new").iterdir()
    assert {path.stat().st_uid, path.parent.stat().st_uid} == {65534}

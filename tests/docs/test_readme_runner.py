"""`.ci/readme.py`: a README that lies must fail."""

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

pytestmark = pytest.mark.processes


def run(checkout: Path, readme: str) -> subprocess.CompletedProcess[str]:
    (checkout / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "readme.py", checkout / ".ci")
    (checkout / "README.md").write_text(readme, encoding="utf-8")
    return subprocess.run(
        [sys.executable, ".ci/readme.py"], cwd=checkout, capture_output=True, text=True, check=False, timeout=60
    )


def test_blocks_run_in_the_checkout_with_an_empty_home_and_others_do_not_run(tmp_path: Path) -> None:
    readme = "```sh\npwd > place\nls -A ~ > home\n```\n```text\ntouch never\n```\n```sh\ncat place > second\n```\n"
    done = run(tmp_path, readme)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "second").read_text().strip() == str(tmp_path)
    assert (tmp_path / "home").read_text() == ""
    assert not (tmp_path / "never").exists()


@pytest.mark.parametrize("block", ["false", "echo $NOT_SET_ANYWHERE", "make run-of-something-else"])
def test_a_block_that_fails_fails_the_whole(tmp_path: Path, block: str) -> None:
    (tmp_path / "routes.yaml").write_text('http:\n  listen: "127.0.0.1:1"\n', encoding="utf-8")
    done = run(tmp_path, f"```sh\n{block}\ntouch reached\n```\n```sh\ntouch next\n```\n")
    assert done.returncode == 1
    assert "block 1 of the README failed" in done.stderr
    assert not (tmp_path / "reached").exists()
    assert not (tmp_path / "next").exists()


def test_a_port_that_is_taken_is_said_and_nothing_is_started(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (tmp_path / "routes.yaml").write_text(f'http:\n  listen: "127.0.0.1:{port}"\n', encoding="utf-8")
        done = run(tmp_path, "```sh\ntouch started; make run\n```\n")
    assert done.returncode == 1
    assert f"port {port} is in use" in done.stderr
    assert not (tmp_path / "started").exists()


def test_a_gateway_that_ends_by_itself_is_told_with_its_output(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("run:\n\t@echo it broke; exit 3\n", encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "routes.yaml").write_text(f'http:\n  listen: "127.0.0.1:{port}"\n', encoding="utf-8")
    done = run(tmp_path, "```sh\nmake run\n```\n")
    assert done.returncode == 1
    assert "it ended by itself" in done.stderr
    assert "it broke" in done.stderr

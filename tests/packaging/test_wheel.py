"""The installed program: what the Dockerfile and the README install, built offline with the lock's own hatchling."""

import os
import re
import stat
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.packaging.dockerfile import ROOT, copy_context

pytestmark = pytest.mark.processes

SECRETS = {"NAGIOS_TOKEN": "only-for-a-test", "OSTICKET_KEY": "5A4DB0C05A4DB0C05A4DB0C05A4DB0C0"}


def pip(*arguments: str, cwd: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments],
        cwd=cwd, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from nothing but what the Dockerfile copies."""
    context, target = tmp_path_factory.mktemp("context"), tmp_path_factory.mktemp("dist")
    copy_context(context)
    pip("wheel", "--quiet", "--no-index", "--no-deps", "--no-build-isolation", "-w", str(target), ".", cwd=context)
    (built,) = target.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of a venv that has the wheel, and the dependencies of this one."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    pip("--python", str(python), "install", "--quiet", "--no-index", "--no-deps", str(wheel), cwd=folder)
    (site,) = folder.glob("lib/python*/site-packages")
    # A path in a .pth file does not have its own .pth files read: the checkout's editable install stays out of sight.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return folder / "bin"


def run(
    program: Path, *arguments: str, cwd: Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "TICKET_GATEWAY"))}
    return subprocess.run(
        [str(program), *arguments],
        cwd=cwd, env={**clean, **(env or {})}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_the_wheel_holds_templates_configuration_sql_and_pages(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    templates = {path.relative_to(ROOT).as_posix() for path in (ROOT / "templates").rglob("*.j2")}
    assert templates
    assert {f"gateway/shipped/{name}" for name in templates} <= names
    assert "gateway/shipped/routes.yaml" in names
    package = {path.relative_to(ROOT).as_posix() for path in (ROOT / "gateway").rglob("*") if path.is_file()}
    assert {name for name in package if "__pycache__" not in name} <= names
    assert any(name.endswith(".sql") for name in names)
    assert any(name.startswith("gateway/sandbox/pages/") for name in names)


def test_the_wheel_holds_nothing_of_the_workshop(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert not [
        name for name in names if re.match(r"(tests|bench|docs|lock|data|\.ci)/", name) or "__pycache__" in name
    ]


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
    metadata = archive.read(name).decode()
    assert "\nName: ticket-gateway\n" in metadata
    assert "\nLicense-Expression: Apache-2.0\n" in metadata
    assert "\nRequires-Python: >=3.11\n" in metadata
    assert any(entry.endswith("/licenses/LICENSE") for entry in archive.namelist())


def test_the_lock_has_what_the_wheel_requires(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
    lines = [line for line in archive.read(name).decode().splitlines() if line.startswith("Requires-Dist:")]
    needed = {
        match[1].lower()
        for line in lines
        if "extra ==" not in line and (match := re.match(r"Requires-Dist: ([\w.-]+)", line))
    }
    lock = (ROOT / "lock" / "run.txt").read_text(encoding="utf-8")
    locked = {match[1].lower() for match in re.finditer(r"^([\w.-]+)==", lock, re.MULTILINE)}
    assert needed
    assert needed <= locked
    assert {"hatchling", "editables"} <= locked
    for block in re.split(r"^(?=\w)", lock, flags=re.MULTILINE):
        assert "==" not in block or "--hash=sha256:" in block, block


def test_the_installed_program_is_the_wheels_and_not_the_checkouts(installed: Path, tmp_path: Path) -> None:
    done = run(installed / "python", "-c", "import gateway; print(gateway.__file__)", cwd=tmp_path)
    assert Path(done.stdout.strip()).is_relative_to(installed.parent)


def test_init_writes_a_folder_that_check_finds_good(installed: Path, tmp_path: Path) -> None:
    done = run(installed / "ticket-gateway", "init", "etc", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    written = {
        path.relative_to(tmp_path / "etc").as_posix() for path in (tmp_path / "etc").rglob("*") if path.is_file()
    }
    assert written == {"routes.yaml"} | {
        path.relative_to(ROOT).as_posix() for path in (ROOT / "templates").rglob("*.j2")
    }
    unset = run(installed / "ticket-gateway", "check", "etc/routes.yaml", cwd=tmp_path)
    assert unset.returncode == 2
    assert "NAGIOS_TOKEN" in unset.stderr
    good = run(installed / "ticket-gateway", "check", "etc/routes.yaml", cwd=tmp_path, env=SECRETS)
    assert good.returncode == 0, good.stdout + good.stderr


def test_init_never_overwrites(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "routes.yaml").write_text("mine\n", encoding="utf-8")
    assert run(installed / "ticket-gateway", "init", cwd=tmp_path).returncode == 1
    assert (tmp_path / "routes.yaml").read_text(encoding="utf-8") == "mine\n"


def test_the_sandbox_configuration_of_init_is_good_without_any_secret(installed: Path, tmp_path: Path) -> None:
    assert run(installed / "ticket-gateway", "init", "--sandbox", cwd=tmp_path).returncode == 0
    done = run(installed / "ticket-gateway", "check", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_notify_script_is_installed_and_starts(installed: Path, tmp_path: Path) -> None:
    script = installed / "ticket-gateway-notify"
    assert script.stat().st_mode & stat.S_IXUSR
    done = run(script, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "nagios" in done.stdout


def test_the_pipe_script_is_installed_with_its_own_interpreter_line(installed: Path, tmp_path: Path) -> None:
    script = installed / "ticket-gateway-pipe"
    assert script.stat().st_mode & stat.S_IXUSR
    assert script.read_bytes() == (ROOT / "deploy" / "ticket-gateway-pipe").read_bytes()
    done = run(installed / "python", "-I", "-S", str(script), "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "--source NAME" in done.stdout

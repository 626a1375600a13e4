"""What the documentation says must be there: pages, links, files, verbs, options, configurations that load."""

import re
import shlex
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from pydantic import BaseModel

from gateway.app import GRACE
from gateway.cli import cli
from gateway.config import models
from gateway.config.document import plain, read_document
from gateway.config.loader import load_file
from gateway.config.messages import keys_of, models_in
from gateway.config.registries import default_registries
from gateway.model.reasons import Reason
from gateway.observability.metrics import metric_docs
from gateway.receive.problems import Refusal
from gateway.sandbox import SANDBOX_API_KEY
from gateway.sandbox.faults import EXPLAINED
from gateway.sandbox.sandbox import FAULTS_VARIABLE
from tests.docs.pages import ROOT, Block, all_blocks, anchors, blocks, inline_code, pages, prose

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_FILE = re.compile(r"(?:deploy|gateway|docs|templates|lock|tests|bench)/[\w./-]*\w|Dockerfile|Makefile|LICENSE")
_FILE_SECRET = re.compile(r"\$\{file:([^}]+)\}")
_TABLE = re.compile(r"file: ([\w-]+\.csv)")
_CALL = re.compile(r"(?:^|[\s/\"])ticket-gateway (?=[a-z-])([^|;&\n#]*)")


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def names(values: list[Path]) -> list[str]:
    return [str(value.relative_to(ROOT)) for value in values]


@pytest.mark.parametrize("page", pages(), ids=names(pages()))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in _LINK.findall(prose(page)):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        there = (page.parent / name).resolve() if name else page
        assert there.exists(), f"{target} of {page.name} is not there"
        if anchor:
            assert anchor in anchors(there), f"{target}: {there.name} has no such heading"


def test_the_index_names_every_page_of_the_docs() -> None:
    linked = {target.partition("#")[0] for target in _LINK.findall(text("docs/index.md"))}
    linked |= {target.removeprefix("docs/") for target in _LINK.findall(text("README.md"))}
    assert {page.name for page in (ROOT / "docs").glob("*.md")} - linked - {"index.md"} == set()


@pytest.mark.parametrize("page", pages(), ids=names(pages()))
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    for code in inline_code(page):
        if _FILE.fullmatch(code) and page.name != "CHANGELOG.md":
            assert (ROOT / code).exists() or (page.parent / code).exists(), f"{page.name} names {code}"


def test_the_readme_stays_short() -> None:
    assert len(text("README.md").splitlines()) <= 200


# ------------------------------------------------------------------------------------------------------------ reference


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


def test_every_verb_has_its_reference() -> None:
    page = text("docs/cli.md")
    for path, _ in commands(cli):
        assert f"## `ticket-gateway {' '.join(path)}`" in page


def test_every_reason_has_its_reference() -> None:
    page = text("docs/reasons.md")
    for reason in Reason:
        assert f"| `{reason.value}` | {reason.explain()} |" in page


def test_every_metric_has_its_reference() -> None:
    page = text("docs/metrics.md")
    for metric in metric_docs():
        assert f"| `{metric.name}` |" in page


def test_every_configuration_key_has_its_reference() -> None:
    page = text("docs/configuration.md")
    known = default_registries()
    waiting: list[type[BaseModel]] = [models.File, models.Auth, models.Limits, models.Matcher]
    waiting += [kind.settings for kind in known.source_kinds.values()]
    waiting += [kind.settings for kind in known.helpdesk_kinds.values()]
    seen: set[type[BaseModel]] = set()
    while waiting:
        model = waiting.pop()
        if model in seen:
            continue
        seen.add(model)
        for key, info in keys_of(model).items():
            assert f"| `{key}` |" in page, f"{model.__name__}.{key}"
            assert info.description, f"{model.__name__}.{key} has no description"
            waiting += models_in(info.annotation)


def test_every_metric_that_the_docs_name_exists() -> None:
    known = {metric.name for metric in metric_docs()}
    for page in pages():
        for name in re.findall(r"\bticket_gateway_\w+", page.read_text(encoding="utf-8")):
            assert name in known, f"{page.name} names {name}"


def test_every_refusal_of_the_http_door_is_described() -> None:
    page = text("docs/http.md")
    for refusal in Refusal:
        assert f"`{refusal.value}`" in page


def test_every_fault_of_the_sandbox_is_described() -> None:
    page = text("docs/sandbox.md")
    for fault, explanation in EXPLAINED.items():
        assert f"| `{fault.value}` | {explanation} |" in page
    assert FAULTS_VARIABLE in page
    assert SANDBOX_API_KEY in page


# ------------------------------------------------------------------------------------------------------------- commands


def calls() -> dict[str, list[str]]:
    """Every call of the program that a page shows, by where it stands."""
    found: dict[str, list[str]] = defaultdict(list)
    for page in pages():
        if page.name in {"cli.md", "CHANGELOG.md"}:
            continue
        name = str(page.relative_to(ROOT))
        found[name] += [code.removeprefix("ticket-gateway ") for code in inline_code(page) if _is_call(code)]
        for block in blocks(page):
            if block.language in {"sh", "text"}:
                lines = block.text.replace("\\\n", " ").splitlines()
                typed = [
                    line for line in lines if re.match(r"[#$]? ?\S*bin/ticket-gateway |ticket-gateway [a-z]+ ", line)
                ]
                found[name] += [match[1] for line in typed for match in _CALL.finditer(line) if _verb(match[1])]
    return found


def _is_call(code: str) -> bool:
    return code.startswith("ticket-gateway ") and "=" not in code.split()[1]


def _verb(call: str) -> bool:
    return call.split(maxsplit=1)[0] != "is"  # "ticket-gateway is up" is output


@pytest.mark.parametrize(("where", "call"), [(where, call) for where, some in calls().items() for call in some])
def test_every_call_that_a_page_shows_exists(where: str, call: str) -> None:
    words = shlex.split(call)
    command: click.Command = cli
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        first, *words = words
        group, found = command, None
        for each in first.split("|"):
            found = group.get_command(click.Context(group), each)
            assert found is not None, f"{where}: there is no `ticket-gateway {call}`"
        assert found is not None
        command = found
    options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    for word in words:
        if word.startswith("--") and word not in {"--version", "--help"}:
            assert word.partition("=")[0] in options, f"{where}: `ticket-gateway {call}`: {word}"


def test_the_documentation_shows_calls_at_all() -> None:
    assert sum(len(some) for some in calls().values()) > 15


def test_the_commands_of_the_readme_exist() -> None:
    shown = blocks(ROOT / "README.md", "sh")
    assert any(block.text.strip() == "make run" for block in shown)
    targets = set(re.findall(r"^([a-z-]+):", text("Makefile"), re.MULTILINE))
    for block in shown:
        for line in block.text.splitlines():
            words = shlex.split(line)
            if words[0] == "make":
                assert set(words[1:]) <= targets
            for word in words:
                if re.match(r"(gateway|lock|tests|deploy)/", word):
                    assert (ROOT / word).exists(), f"{block}: {word}"


def test_ci_would_run_every_block_of_the_readme_that_is_marked_sh() -> None:
    listed = subprocess.run(
        [sys.executable, ".ci/readme.py", "--list"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    ).stdout
    for block in blocks(ROOT / "README.md", "sh"):
        for line in block.text.splitlines():
            assert f"   $ {line}\n" in listed


def test_the_script_of_ci_is_one_that_bash_reads() -> None:
    subprocess.run(["bash", "-n", ".ci/run"], cwd=ROOT, check=True, timeout=30)


# ------------------------------------------------------------------------------------------------------- configurations


WHOLE = ("version", "server", "sources", "helpdesks", "routes", "unrouted")


def completed(block: Block, folder: Path) -> Path | None:
    """The block as a whole file, with the secrets it names; None for a fragment of something deeper."""
    content = plain(read_document(block.text.encode()).root)
    assert isinstance(content, dict), f"{block} is no section"
    if not content.keys() <= {*WHOLE, "lookup", "include"}:
        return None
    for name in _FILE_SECRET.findall(block.text):
        secret = folder / name
        secret.parent.mkdir(parents=True, exist_ok=True)
        secret.write_text("5A4DB0C05A4DB0C05A4DB0C05A4DB0C0\n", encoding="utf-8")
        secret.chmod(0o600)
    for name in _TABLE.findall(block.text):
        (folder / name).write_text(blocks(block.page, "text")[0].text, encoding="utf-8")
    file = folder / "routes.yaml"
    file.write_text(("" if "version" in content else "version: 1\n") + block.text, encoding="utf-8")
    (folder / "templates").symlink_to(ROOT / "templates")
    return file


YAML = [block for block in all_blocks("yaml") if block.page.name != "configuration.md"]


@pytest.mark.parametrize("block", YAML, ids=map(str, YAML))
def test_every_configuration_that_a_page_shows_is_right(block: Block, tmp_path: Path) -> None:
    file = completed(block, tmp_path)
    if file is None:
        return
    env = dict.fromkeys(re.findall(r"\$\{env:(\w+)", block.text), "5A4DB0C05A4DB0C05A4DB0C05A4DB0C0")
    assert load_file(file, env=env).path == file  # raises ConfigErrors with every fault


def test_the_readme_shows_a_whole_configuration_of_about_twenty_lines() -> None:
    (block,) = blocks(ROOT / "README.md", "yaml")
    content = plain(read_document(block.text.encode()).root)
    assert isinstance(content, dict)
    assert content.keys() == set(WHOLE)
    assert len(block.text.splitlines()) <= 22


def test_the_readme_shows_what_explain_really_says(monkeypatch: pytest.MonkeyPatch) -> None:
    page = text("README.md")
    (call,) = re.findall(r"^\.venv/bin/ticket-gateway (explain .*)$", page, re.MULTILINE)
    shown = page.partition(call)[2].partition("```text\n")[2].partition("```")[0]
    monkeypatch.chdir(ROOT)
    answer = CliRunner().invoke(cli, shlex.split(call))
    assert answer.exit_code == 0
    lines = answer.output.splitlines()
    for line in shown.splitlines():
        assert line.strip() in {"...", ""} or line in lines, line


def test_the_readme_shows_what_check_really_says(tmp_path: Path) -> None:
    (block,) = blocks(ROOT / "README.md", "yaml")
    file = completed(block, tmp_path)
    answer = CliRunner().invoke(cli, ["check", str(file)])
    assert answer.exit_code == 0
    _, good, rest = answer.output.strip().rpartition(": good: ")
    assert f"/etc/ticket-gateway/routes.yaml{good}{rest}\n" in text("README.md")


def test_systemd_waits_longer_for_a_stop_than_the_gateway_for_its_calls() -> None:
    unit = text("deploy/systemd/ticket-gateway.service")
    (seconds,) = re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
    assert int(seconds) >= GRACE + 10 + 5
    assert re.search(
        r"^ExecStart=/opt/ticket-gateway/bin/ticket-gateway serve --config /etc/ticket-gateway/", unit, re.MULTILINE
    )

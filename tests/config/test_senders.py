"""How a mail source finds out who vouches for a sender: what `check` says of it."""

from pathlib import Path

import pytest

from gateway.sources.mail.settings import MailSettings
from tests.config.samples import GOOD, problems, read


def file(source: str, dns: str = "{}") -> str:
    plain = GOOD.replace("version: 1\n", f"version: 1\nserver: {{smtp: {{}}, dns: {dns}}}\n", 1)
    desk = f'  desk:\n    kind: mail\n    recipients: ["support@own.example"]\n    {source}\n'
    return plain.replace("helpdesks:", f"{desk}helpdesks:", 1)


def test_the_settings_are_read(tmp_path: Path) -> None:
    text = file(
        "auth_results: {trusted: [mx.example.org], networks: [192.0.2.0/24], headers: 2, hops: 3}\n"
        "    verify: [dkim, spf, dmarc]\n    on_auth_fail: reject",
        '{servers: ["192.0.2.53", "[2001:db8::53]:5353"], timeout: 2s, deadline: 9s}',
    )
    config = read(tmp_path, text)
    desk = config.sources["desk"]
    assert isinstance(desk, MailSettings)
    assert desk.auth_results is not None
    assert (desk.auth_results.headers, desk.auth_results.hops, desk.verify) == (2, 3, ["dkim", "spf", "dmarc"])
    assert config.server.dns.deadline == 9.0


@pytest.mark.parametrize(
    ("source", "dns", "told"),
    [
        ("auth_results: {trusted: []}", "{}", "trusted"),
        ("auth_results: {trusted: [mx], networks: [here]}", "{}", "'here' is no address or network"),
        ("verify: [arc]", "{}", "verify"),
        ("verify: [dmarc]", "{}", "DMARC is nothing without DKIM or SPF"),
        ("verify: [dkim]", "{servers: [resolver.example.org]}", "is no address of a name server"),
    ],
)
def test_what_cannot_be_meant_is_told(tmp_path: Path, source: str, dns: str, told: str) -> None:
    found = [line for line in problems(tmp_path, file(source, dns)) if told in line]
    assert found
    assert found[0].startswith("routes.yaml:")


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("on_auth_fail: reject", "never happens: nobody looks at the sender"),
        ("on_auth_fail: dead_letter", "never happens: nobody looks at the sender"),
        ("verify: [dkim]\n    on_auth_fail: reject", "such mail is kept as a dead letter"),
    ],
)
def test_what_does_less_than_it_says_is_told(tmp_path: Path, source: str, told: str) -> None:
    [note] = [str(note) for note in read(tmp_path, file(source)).notes if told in str(note)]
    assert "routes.yaml:" in note
    assert "on_auth_fail" in note


def test_what_does_what_it_says_needs_no_word(tmp_path: Path) -> None:
    text = file("verify: [dkim]\n    on_auth_fail: reject\n    auth_results: {trusted: [mx.example.org]}")
    assert not [note for note in read(tmp_path, text).notes if "on_auth_fail" in str(note)]


def test_dmarc_with_the_results_of_a_relay_needs_no_other_check(tmp_path: Path) -> None:
    told = problems(tmp_path, file("verify: [dmarc]\n    auth_results: {trusted: [mx.example.org]}"))
    assert not [line for line in told if "DMARC" in line]


def test_libraries_that_are_not_there_are_told_with_the_way_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.config.lint_senders._LIBRARIES", ("dkim", "a_library_that_nobody_has"))
    [line] = [line for line in problems(tmp_path, file("verify: [dkim]")) if "not installed" in line]
    assert "ticket-gateway[mail-auth]" in line

"""The mail doors and recipients in the file: what `check` says of them."""

from pathlib import Path

import pytest

from tests.config.samples import GOOD, problems, read

HASH = "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$Zm9vYmFyYmF6"
MAIL = GOOD.replace("helpdesks:", '  desk:\n    kind: mail\n    recipients: ["support@own.example"]\nhelpdesks:', 1)


def with_server(text: str) -> str:
    return MAIL.replace("version: 1\n", f"version: 1\nserver:\n{text}", 1)


def test_the_mail_doors_are_read(tmp_path: Path) -> None:
    text = (
        '  smtp:\n    listen: ["127.0.0.1:2525", "[::1]:2525"]\n    max_message: 10MiB\n    networks: [10.0.0.0/8]\n'
        f'    auth: {{users: {{ann: "{HASH}"}}, without_tls_on_loopback: true}}\n'
        "    limits: {connection_rate: 10/s, session: 5m, recipients: 200}\n"
        "  lmtp: {listen: unix:/run/gw/lmtp.sock}\n"
    )
    server = read(tmp_path, with_server(text)).server
    assert server.smtp is not None
    assert server.lmtp is not None
    assert (server.smtp.max_message, server.smtp.limits.recipients) == (10 * 2**20, 200)
    assert server.lmtp.listen == "unix:/run/gw/lmtp.sock"
    assert "$argon2" not in repr(server)


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ("  smtp: {listen: nowhere}\n", "is no address to listen on"),
        ("  smtp: {listen: []}\n", "is empty"),
        ('  smtp: {listen: "127.0.0.1:1", listen_tls: "127.0.0.1:1"}\n', "stands here twice"),
        ('  lmtp: {listen: "127.0.0.1:25"}\n', "LMTP must not be on port 25"),
        ("  smtp: {require_tls: true}\n", "needs a certificate"),
        ("  smtp: {tls: {cert: a.pem, key: b.pem}}\n", "a.pem is not there"),
        ("  smtp: {networks: [x]}\n", "'x' is no address or network"),
        ("  smtp: {proxy_protocol: [x]}\n", "'x' is no address or network"),
        ("  smtp: {auth: {users: {ann: right}}}\n", "is no Argon2 hash"),
        ("  smtp: {limits: {recipients: 3}}\n", "100"),
        ("  smtp: {listenn: x}\n", "listen"),
    ],
)
def test_a_mail_door_that_cannot_open_is_told(tmp_path: Path, section: str, told: str) -> None:
    (line,) = {line for line in problems(tmp_path, with_server(section)) if told in line}
    assert line.startswith("routes.yaml:3:")


def test_a_recipient_that_cannot_be_read_or_is_taken_is_told(tmp_path: Path) -> None:
    other = (
        '  other:\n    kind: mail\n    auth: none\n    recipients: ["Support@Own.example", "*", "sales@own.example"]\n'
    )
    text = with_server("  smtp: {}\n").replace("helpdesks:", f"{other}helpdesks:", 1)
    taken, unreadable = problems(tmp_path, text)[:2]
    assert "sources.other.recipients[0]: 'Support@Own.example' belongs to 'desk' already" in taken
    assert "sources.other.recipients[1]: '*' is no recipient" in unreadable


def test_recipients_without_a_door_and_a_door_without_recipients_are_remarked_upon(tmp_path: Path) -> None:
    assert any("no mail door is open" in note.message for note in read(tmp_path, MAIL).notes)
    lonely = GOOD.replace("version: 1\n", "version: 1\nserver:\n  smtp: {}\n", 1)
    assert any("every mail is refused" in note.message for note in read(tmp_path, lonely).notes)
    assert not any("mail" in note.message for note in read(tmp_path, with_server("  smtp: {}\n")).notes)


def test_nobody_can_log_in_without_tls_and_that_is_told(tmp_path: Path) -> None:
    text = with_server(f'  smtp: {{auth: {{users: {{ann: "{HASH}"}}}}}}\n')
    assert any("nobody can log in" in note.message for note in read(tmp_path, text).notes)

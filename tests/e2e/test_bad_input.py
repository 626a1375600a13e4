"""Everything that can be wrong with what comes in, sent to the real program over its real door.

What a helpdesk can get wrong is in `test_a_helpdesk_that_is_not_well`, what disk, signals and file handles can in
`test_bad_days`, and every fault of a configuration in `tests/config`.
"""

import base64
import hashlib
import hmac
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.model.json import JsonObject
from tests.crash.harness import PROGRAM, sandbox_process
from tests.e2e.process import OPERATOR, PATIENCE, Program, Reply, free_port, launch, read_json, running

SECRETS = {
    "APP_TOKEN": "app-token-4711-very-secret",
    "OPERATOR": OPERATOR,
    "DESK_KEY": "5A4DB0C05A4DB0C05A4DB0C05A4DB0C0",
    "NEW_KEY": "newer-signing-key-0815",
    "OLD_KEY": "older-signing-key-0814",
    "PATH_TOKEN": "token-in-the-path-99",
    "QUERY_TOKEN": "token-in-the-query-77",
    "PASSWORD": "pass word/with+odd=signs",
}
CONFIG = """\
version: 1
server:
  http: {{listen: "127.0.0.1:{port}", max_body: 1MiB, body_timeout: 3s}}
  journal: {{url: "sqlite:///journal.db", min_free: 1MiB}}
  operator: {{bearer: "${{env:OPERATOR}}"}}
  log: {{level: debug, format: json}}
sources:
  app: {{kind: generic, auth: {{bearer: "${{env:APP_TOKEN}}"}}}}
  lenient: {{kind: generic, malformed: accept, auth: {{bearer: "${{env:APP_TOKEN}}"}}}}
  nagios: {{kind: nagios, auth: {{bearer: "${{env:APP_TOKEN}}"}}}}
  zabbix: {{kind: zabbix, auth: {{bearer: "${{env:APP_TOKEN}}"}}, timezone: UTC}}
  near: {{kind: generic, auth: {{bearer: "${{env:APP_TOKEN}}"}}, networks: [192.0.2.0/24]}}
  url: {{kind: generic, auth: {{path: "${{env:PATH_TOKEN}}"}}}}
  query: {{kind: generic, auth: {{query: {{key: "${{env:QUERY_TOKEN}}"}}}}}}
  user: {{kind: generic, auth: {{basic: {{user: ann, password: "${{env:PASSWORD}}"}}}}}}
  shop:
    kind: generic
    auth:
      hmac:
        header: X-Signature
        timestamp_header: X-Timestamp
        secrets: ["${{env:NEW_KEY}}", "${{env:OLD_KEY}}"]
        tolerance: 5m
helpdesks:
  desk:
    kind: osticket
    url: {sandbox}/osticket/api
    auth: {{api_key: "${{env:DESK_KEY}}"}}
    requester: {{name: Monitoring, email: monitoring@example.org}}
    sandbox: true
    limits: {{creates: off, timeout: 2s, settle: 100ms, retry_first: 50ms, retry_most: 200ms}}
routes:
  - name: broken
    match: {{source: app, labels.template: broken}}
    ticket: {{helpdesk: desk, template: broken}}
  - name: all
    ticket: {{helpdesk: desk, template: generic}}
    incident: {{key: [host, title]}}
"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with sandbox_process(tmp_path_factory.mktemp("desk")) as url:
        yield url


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, desk: str) -> Iterator[Program]:
    folder = tmp_path_factory.mktemp("gateway")
    template = folder / "templates" / "broken"
    template.mkdir(parents=True)
    (template / "title.j2").write_text("{{ event.title }}")
    (template / "body.txt.j2").write_text("first line\n\n{{ event.labels.nowhere }}\n")
    port = free_port()
    config = CONFIG.format(port=port, sandbox=desk)
    with running(folder, config, port=port, token=SECRETS["APP_TOKEN"], env=SECRETS) as program:
        yield program
        assert program.process.poll() is None, "the gateway ended by itself"


def subjects(desk: str) -> list[str]:
    tickets = read_json(f"{desk}/tickets.json")
    assert isinstance(tickets, list)
    return [ticket["subject"] for ticket in tickets]


def checked(gateway: Program) -> float:
    """How often credentials were compared so far."""
    line = next(
        line
        for line in gateway.get("/metrics").body.decode().splitlines()
        if line.startswith("ticket_gateway_credential_checks_total ")
    )
    return float(line.split()[1])


# ------------------------------------------------------------------------------------------------------------- who


def test_an_unknown_source_and_wrong_credentials_cost_the_same_comparison(gateway: Program) -> None:
    answers = []
    for source in ("nobody", "app"):
        before = checked(gateway)
        answers.append(gateway.post(source, {"title": "x"}, authorization="Bearer wr\xf6ng"))
        assert checked(gateway) - before == 1
    assert [answer.status for answer in answers] == [404, 401]
    assert all(answer.headers["content-type"] == "application/problem+json" for answer in answers)
    assert answers[1].headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("source", ["nobody", "app"])
def test_a_stranger_s_endless_body_is_not_read(gateway: Program, source: str) -> None:
    head = f"POST /in/{source} HTTP/1.1\r\nHost: gw\r\nContent-Length: {10**14}\r\n\r\n"
    began = time.monotonic()
    answer = gateway.raw(head.encode())
    assert answer.startswith(b"HTTP/1.1 40")
    assert b"connection: close" in answer
    assert time.monotonic() - began < 2.9  # before the deadline of a body that does not come


def test_what_a_sender_says_about_its_address_opens_no_door(gateway: Program) -> None:
    for name in ("x-forwarded-for", "forwarded", "x-real-ip"):
        answer = gateway.post("near", {"title": "let me in"}, **{name: "192.0.2.5"})
        assert answer.status == 403


# ----------------------------------------------------------------------------------------------------------- bodies


def test_a_body_over_the_cap_is_refused_by_its_declared_length_before_a_byte_of_it_comes(gateway: Program) -> None:
    head = f"POST /in/app HTTP/1.1\r\nHost: gw\r\nAuthorization: Bearer {gateway.token}\r\nContent-Length: {2**20 + 1}\r\n\r\n"
    answer = gateway.raw(head.encode())
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"max_body" in answer


def test_a_body_without_a_length_is_cut_off_at_the_cap(gateway: Program) -> None:
    head = f"POST /in/app HTTP/1.1\r\nHost: gw\r\nAuthorization: Bearer {gateway.token}\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    with gateway.connect() as connection:
        connection.sendall(head.encode() + chunk * 17)
        assert connection.recv(64).startswith(b"HTTP/1.1 413")


def test_what_is_not_json_is_refused_with_line_and_column(gateway: Program) -> None:
    answer = gateway.post("app", b'{"title": "x",\n "text": oops}')
    assert answer.status == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["place"] == "line 2, column 10"
    assert "hint" in answer.json()


HOSTILE = {
    "NaN": b'{"title":"x","value":NaN}',
    "infinity": b'{"title":"x","value":-Infinity}',
    "too large a float": b'{"title":"x","value":1e400}',
    "depth 10,000 of lists": b'{"title":"x","y":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "depth 10,000 of objects": b'{"title":"x","y":' * 10_000 + b"1" + b"}" * 10_000,
    "open brackets": b"[" * 500_000,
    "lone high surrogate": b'{"title":"a\\ud800b"}',
    "lone low surrogate": b'{"title":"a\\udc00b"}',
    "surrogate in UTF-8": b'{"title":"a\xed\xa0\x80b"}',
    "5,000 digits": b'{"title":"x","occurred_at":' + b"9" * 5000 + b"}",
    "66 bits": b'{"title":"x","value":73786976294838206464}',
    "Latin-1": b'{"title":"caf\xe9"}',
    "half of UTF-16": b"\xff\xfe{\x00\x00\xd8",
    "nothing": b"",
    "NUL": b"\0",
    "list of nothing": b"[]",
    "null": b"null",
    "text": b'"x"',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_json_is_refused_by_a_strict_source_and_says_why(gateway: Program, name: str) -> None:
    answer = gateway.post("app", HOSTILE[name])
    assert answer.status == 400
    assert answer.json()["detail"]


@pytest.mark.parametrize("source", ["lenient", "nagios", "zabbix"])
def test_hostile_json_becomes_an_event_with_its_warning_where_nothing_may_be_lost(
    gateway: Program, source: str
) -> None:
    answers = [gateway.post(source, body) for body in HOSTILE.values()]
    assert {answer.status for answer in answers} == {202}
    for answer in answers:
        receipt = gateway.ended(answer)
        assert receipt["status"] == "processed"
        assert receipt["warnings"]
        assert len(gateway.events(receipt)) == 1


STRANGE = {
    "two equal names": (b'{"title":"first of two","title":"last of two","host":"dup"}', "last of two"),
    "64 bits": (b'{"title":"64 bits","labels":{"n":18446744073709551615},"host":"h64"}', "64 bits"),
    "NUL everywhere": (
        b'{"title":"N\\u0000UL","host":"nul\\u0000","labels":{"\\u0000":"\\u0000"},"origin_key":"\\u0000k"}',
        "NUL",
    ),
    "UTF-16": ('{"title":"sechzehn","host":"h16"}'.encode("utf-16"), "sechzehn"),
    "controls and bidi": (
        b'{"title":"b\\u202eidi\\u001b[31m\\r\\nBcc: x","host":"bidi"}',
        "b idi [31m Bcc: x",
    ),
}


@pytest.mark.parametrize("name", STRANGE)
def test_strange_but_right_json_becomes_a_ticket(gateway: Program, desk: str, name: str) -> None:
    body, title = STRANGE[name]
    receipt = gateway.ended(gateway.post("app", body))
    assert [event["reason"] for event in gateway.events(receipt)] == ["opened"]
    plain = [" ".join("".join(c if c.isprintable() else " " for c in text).split()) for text in subjects(desk)]
    assert any(title.replace(" ", "") in text.replace(" ", "") for text in plain), plain


def test_lone_surrogates_in_every_field_survive_journal_key_template_and_call(gateway: Program, desk: str) -> None:
    fields: JsonObject = {
        "kind": "problem",
        "title": "half \ud800 pair",
        "text": "\udfff",
        "host": "h\ud800",
        "origin_key": "o\udc00",
        "labels": {"l\ud800": "\ud800"},
        "links": [{"title": "\ud800", "url": "https://example.org/\ud800"}],
        "attachments": [{"filename": "f\ud800.txt", "content": "YQ==", "encoding": "base64"}],
    }
    first = gateway.ended(gateway.post("lenient", {**fields, "severity": "major"}))
    second = gateway.ended(gateway.post("lenient", {**fields, "severity": "critical"}))
    assert [gateway.events(receipt)[0]["reason"] for receipt in (first, second)] == ["opened", "severity_raised"]
    assert any("half \ufffd pair" in subject for subject in subjects(desk))


def test_form_fields_with_octets_that_are_no_text_become_a_ticket(gateway: Program, desk: str) -> None:
    form = (
        b"NOTIFICATIONTYPE=PROBLEM&HOSTNAME=h%FF%00&SERVICEDESC=%ED%A0%80&SERVICESTATE=CRITICAL&SERVICEOUTPUT=%C3%28odd"
    )
    answer = gateway.post("nagios", form, content_type="application/x-www-form-urlencoded")
    (event,) = gateway.events(gateway.ended(answer))
    assert (event["kind"], event["reason"]) == ("problem", "opened")


@pytest.mark.parametrize(
    "target",
    [b"/receipts/" + b"%ff" * 36, b"/receipts/" + b"%00" * 36, b"/in/%00", b"/in/app/..%2f..%2fmetrics", b"//in/app", b"/in//app",
     b"/receipts/%ed%a0%80", b"http://evil.example/receipts/x", b"*", b"/in/" + b"a" * 5000],
)  # fmt: skip
def test_no_path_makes_the_gateway_fail_or_open(gateway: Program, target: bytes) -> None:
    for method in (b"GET", b"POST"):
        head = b"%s %s HTTP/1.1\r\nHost: gw/healthz?\r\nConnection: close\r\nContent-Length: 0\r\n\r\n" % (
            method,
            target,
        )
        status = int(gateway.raw(head).split(b" ", 2)[1])
        assert 400 <= status < 500


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100,
        b"GET / HTTP/1.1\r\nBad\0: x\r\n\r\n",
        b"GET @evil HTTP/1.1\r\n\r\n",
    ],
    ids=["TLS", "NUL in a header", "no target"],
)
def test_what_is_no_http_is_refused_in_the_form_of_all_refusals(gateway: Program, request_bytes: bytes) -> None:
    head, _, body = gateway.raw(request_bytes).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400")
    assert b"application/problem+json" in head
    assert json.loads(body)["hint"]


def test_an_upgrade_to_something_else_is_passed_over_and_not_logged(gateway: Program) -> None:
    head = b"GET /healthz HTTP/1.1\r\nHost: gw\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n\r\n"
    assert gateway.raw(head).startswith(b"HTTP/1.1 200")
    assert "WebSocket" not in gateway.log


# ------------------------------------------------------------------------------------------------------- signatures


def signed(gateway: Program, body: bytes, key: str, at: float, sent: bytes = b"") -> Reply:
    stamp = str(int(at))
    signature = hmac.new(SECRETS[key].encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    headers = {"X-Timestamp": stamp, "X-Signature": f"sha256={signature}", "Content-Type": "application/json"}
    return gateway.request("POST", "/in/shop", sent or body, headers)


def test_both_keys_of_a_rotation_sign_and_a_third_does_not(gateway: Program) -> None:
    now = time.time()
    answers = [signed(gateway, b'{"title":"signed %d"}' % n, key, now) for n, key in enumerate(("NEW_KEY", "OLD_KEY"))]
    assert [answer.status for answer in answers] == [202, 202]
    assert signed(gateway, b'{"title":"forged"}', "APP_TOKEN", now).status == 401
    assert signed(gateway, b'{"title":"signed"}', "NEW_KEY", now, sent=b'{"title":"changed"}').status == 401


def test_a_signed_request_that_is_played_again_makes_nothing_new_and_an_old_one_is_refused(gateway: Program) -> None:
    now = time.time()
    first = signed(gateway, b'{"title":"played"}', "NEW_KEY", now)
    again = signed(gateway, b'{"title":"played"}', "NEW_KEY", now)
    assert again.json()["id"] == first.json()["id"]
    assert again.json()["duplicate"] is True
    for off in (-301, 302, -3600, 86400):
        assert signed(gateway, b'{"title":"late"}', "NEW_KEY", now + off).status == 401
    assert gateway.request("POST", "/in/shop", b"{}", {"X-Signature": "sha256=" + "0" * 64}).status == 401


# --------------------------------------------------------------------------------------------------------- templates


def test_a_template_that_fails_at_render_time_names_its_line_and_the_ticket_is_made_plainly(
    gateway: Program, desk: str
) -> None:
    receipt = gateway.ended(gateway.post("app", {"title": "plain after all", "labels": {"template": "broken"}}))
    warnings = receipt["warnings"]
    assert isinstance(warnings, list)
    assert any("templates/broken/body.txt.j2, line 3" in str(warning) for warning in warnings), warnings
    assert any("plain after all" in subject for subject in subjects(desk))


# ----------------------------------------------------------------------------------------------------------- secrets


def test_no_secret_is_seen_in_the_log_the_metrics_the_answers_or_the_process_list(gateway: Program, desk: str) -> None:
    body = b'{"title":"who am I"}'
    pair = base64.b64encode(f"ann:{SECRETS['PASSWORD']}".encode()).decode()
    good = [
        gateway.request("POST", f"/in/url/{SECRETS['PATH_TOKEN']}", body),
        gateway.request("POST", f"/in/query?key={SECRETS['QUERY_TOKEN']}", body),
        gateway.request("POST", "/in/user", body, {"Authorization": f"Basic {pair}"}),
        gateway.post("app", body),
    ]
    assert [answer.status for answer in good] == [202] * 4
    answers = [gateway.get(f"/receipts/{answer.json()['id']}") for answer in good]
    for value in SECRETS.values():  # every secret in every wrong place
        answers += [
            gateway.request("POST", "/in/app", body, {"Authorization": f"Bearer {value}x"}),
            gateway.request("GET", "/receipts/" + value.replace(" ", "%20")),
            gateway.request("POST", f"/in/app/{value.replace(' ', '%20')}", body),
            gateway.post("app", b'{"title": ' + value.encode() + b"}"),
        ]
    gateway.post("app", {"title": f"it says {SECRETS['APP_TOKEN']} and {SECRETS['DESK_KEY']}", "host": "leak"})
    answers += [gateway.get("/metrics"), gateway.get("/readyz"), gateway.get("/")]
    shown = b"".join(answer.body for answer in answers).decode()
    arguments = Path(f"/proc/{gateway.process.pid}/cmdline")
    listed = arguments.read_text("utf-8") if arguments.exists() else ""
    for name, value in SECRETS.items():
        assert value not in gateway.log, name
        assert value not in shown, name
        assert value not in listed, name
    assert pair not in gateway.log


# ------------------------------------------------------------------------------------------------------------- rules


def test_all_faults_of_a_configuration_are_told_at_once_with_their_places_and_nothing_is_started(
    tmp_path: Path,
) -> None:
    config = CONFIG.format(port=free_port(), sandbox="http://127.0.0.1:1/sandbox")
    config = config.replace("max_body:", "max_bdy:").replace("template: broken", "template: nowhere")
    unset = {name: value for name, value in SECRETS.items() if name != "NEW_KEY"}
    program = launch(tmp_path, config, port=0, env={**unset, "NEW_KEY": ""})
    assert program.process.wait(PATIENCE) not in {0, -9}
    for place, told in ((":3:", "max_body"), (":22:", "NEW_KEY"), (":35:", "nowhere")):
        line = next((line for line in program.log.splitlines() if told in line), "")
        assert f"routes.yaml{place}" in line, program.log
    assert not (tmp_path / "journal.db").exists()


def test_the_check_verb_says_the_same_without_starting(tmp_path: Path) -> None:
    config = CONFIG.format(port=free_port(), sandbox="http://127.0.0.1:1/sandbox").replace(
        "kind: zabbix", "kind: zabix"
    )
    path = tmp_path / "routes.yaml"
    path.write_text(config)
    done = subprocess.run(
        [*PROGRAM, "check", "--config", str(path)],
        env={**os.environ, **SECRETS},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode != 0
    assert "routes.yaml:11:" in done.stdout + done.stderr
    assert "did you mean 'zabbix'" in done.stdout + done.stderr


def test_json_of_the_answers_is_always_json(gateway: Program) -> None:
    for answer in (gateway.post("app", b"{"), gateway.get("/receipts/nothing"), gateway.get("/readyz")):
        json.loads(answer.body)

from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway.model.event import Event, Kind, Severity
from gateway.sources.mail import KIND
from tests.sources.mail.mails import event, mail, multipart, parsed, part

CAPTURES = Path(__file__).parent / "captures"


HOST_DOWN = (CAPTURES / "08-host-down2.eml").read_bytes().replace(b"\r\n", b"\n").partition(b"\n\n")[2]


def captured(name: str, **settings: object) -> Event:
    return parsed((CAPTURES / f"{name}.eml").read_bytes(), None, settings).events[0]


@pytest.mark.parametrize(
    ("name", "kind", "severity", "host", "service"),
    [
        ("01-svc-problem", Kind.PROBLEM, Severity.CRITICAL, "Web front-end 01", "HTTP"),
        ("04-svc-recovery", Kind.RECOVERY, Severity.INFO, "Web front-end 01", "HTTP"),
        ("05-svc-downtimestart", Kind.DOWNTIME_START, Severity.INFO, "Web front-end 01", "HTTP"),
        ("06-host-ack", Kind.ACKNOWLEDGEMENT, Severity.CRITICAL, "web01", ""),
        ("08-host-down2", Kind.PROBLEM, Severity.CRITICAL, "web01", ""),
        ("09-host-recovery2", Kind.RECOVERY, Severity.INFO, "web01", ""),
        ("10-svc-flapping-sequence", Kind.PROBLEM, Severity.CRITICAL, "Database Köln", "Flapper"),
        ("02-does-not-exist-flag", Kind.PROBLEM, Severity.MAJOR, "monitor", "flag"),
        ("06-exists-flag", Kind.RECOVERY, Severity.INFO, "monitor", "flag"),
        ("03-connection-failed-web01", Kind.PROBLEM, Severity.MAJOR, "monitor", "web01"),
        ("08-status-succeeded-backup", Kind.RECOVERY, Severity.INFO, "monitor", "backup"),
        ("01-monit-instance-changed-instance", Kind.INFORMATION, Severity.INFO, "monitor", "monitor"),
        ("01-trigger-problem", Kind.PROBLEM, Severity.UNKNOWN, "", ""),
        ("02-update-ack", Kind.UPDATE, Severity.UNKNOWN, "", ""),
        ("04-trigger-recovery", Kind.RECOVERY, Severity.INFO, "", ""),
    ],
)
def test_a_recorded_alert_mail_says_what_its_sender_meant(
    name: str, kind: Kind, severity: Severity, host: str, service: str
) -> None:
    found = captured(name)
    assert (found.kind, found.severity, found.host, found.service) == (kind, severity, host, service)


@pytest.mark.parametrize(
    ("problem", "recovery"),
    [
        ("01-svc-problem", "04-svc-recovery"),
        ("08-host-down2", "09-host-recovery2"),
        ("02-does-not-exist-flag", "06-exists-flag"),
        ("01-trigger-problem", "04-trigger-recovery"),
    ],
)
def test_a_problem_and_its_recovery_have_one_key(problem: str, recovery: str) -> None:
    first, last = captured(problem), captured(recovery)
    assert first.origin_key == last.origin_key
    assert first.labels["mail.thread"] == last.labels["mail.thread"]
    assert last.ends_problem


def test_the_output_of_the_check_is_a_label() -> None:
    assert captured("04-svc-recovery").labels["output"].startswith("HTTP OK: HTTP/1.1 200 OK")


def test_a_zabbix_mail_without_an_event_of_a_trigger_stays_a_mail() -> None:
    assert captured("08-autoregistration").kind is Kind.MESSAGE


def test_alerts_may_be_left_as_ordinary_mails() -> None:
    found = captured("01-svc-problem", alerts="off")
    assert (found.kind, found.host) == (Kind.MESSAGE, "")


def test_the_severity_of_a_state_may_be_changed() -> None:
    assert captured("01-svc-problem", severity={"critical": "major"}).severity is Severity.MAJOR


ICINGA = """***** Service Monitoring on icinga-master *****

disk on db-01 is {state}!

Info:    DISK {state}
When:    now
Service: disk
Host:    db-01
"""


@pytest.mark.parametrize(
    ("kind", "state", "meant"),
    [
        ("PROBLEM", "CRITICAL", Kind.PROBLEM),
        ("RECOVERY", "OK", Kind.RECOVERY),
        ("ACKNOWLEDGEMENT", "WARNING", Kind.ACKNOWLEDGEMENT),
    ],
)
def test_icinga_2_tells_its_state_only_in_the_subject(kind: str, state: str, meant: Kind) -> None:
    found = event(mail(ICINGA.format(state=state), subject=f"[{kind}] disk on db-01 is {state}!"))
    assert (found.kind, found.state, found.host, found.service) == (meant, state, "db-01", "disk")


@pytest.mark.parametrize(
    ("subject", "kind", "severity", "service"),
    [
        ("Check_MK: db-01/CPU load OK -> CRIT", Kind.PROBLEM, Severity.CRITICAL, "CPU load"),
        ("Checkmk: db-01/Disk IO / CRIT → OK", Kind.RECOVERY, Severity.INFO, "Disk IO /"),
        ("Check_MK: db-01 - UP -> DOWN", Kind.PROBLEM, Severity.CRITICAL, ""),
        ("Check_MK: db-01/CPU load Acknowledged", Kind.ACKNOWLEDGEMENT, Severity.UNKNOWN, "CPU load"),
    ],
)
def test_checkmk_tells_it_in_the_subject(subject: str, kind: Kind, severity: Severity, service: str) -> None:
    found = event(
        mail("<table><tr><td>Host:</td><td>db-01</td></tr></table>", subject=subject, content_type="text/html")
    )
    assert (found.kind, found.severity, found.host, found.service) == (kind, severity, "db-01", service)


AM = (
    "<table><tr><td>{count} for alertname=DiskFull job=node</td></tr></table><p>[1] Firing</p><p>Labels<br>alertname = DiskFull<br>"
    "instance = db-01<br>severity = critical<br></p><p>Sent by <a href='http://am.example'>Alertmanager</a></p>"
)


def test_alertmanager_is_one_problem_per_group() -> None:
    firing = event(
        mail(
            AM.format(count="1 alert"),
            subject="[FIRING:1] DiskFull (node db-01)",
            content_type="text/html; charset=utf-8",
        )
    )
    over = event(
        mail(
            AM.format(count="1 alert"),
            subject="[RESOLVED] DiskFull (node db-01)",
            content_type="text/html; charset=utf-8",
        )
    )
    assert (firing.kind, firing.severity, firing.host, firing.service) == (
        Kind.PROBLEM,
        Severity.CRITICAL,
        "db-01",
        "DiskFull",
    )
    assert (over.kind, over.origin_key) == (Kind.RECOVERY, firing.origin_key)


@pytest.mark.parametrize(
    "data",
    [
        mail("The state is BROKEN!", subject="** PROBLEM Service Alert: web/HTTP is BROKEN **"),
        mail("State: CRITICAL\nHost: web01\nNotification Type: PROBLEM\n", subject="Please explain this"),
        mail(
            "***** Nagios *****\n\nNotification Type: PROBLEM\nHost: web01\nState: OK\n",
            subject="** PROBLEM Host Alert: web01 is DOWN **",
        ),
        mail(HOST_DOWN, subject="Re: ** PROBLEM Host Alert: web01 is DOWN **"),
        mail(
            "Does not exist Service flag\n\nHost: x\nAction: y\nDescription: z",
            subject="monit alert --  Does not exist flag",
        ),
        mail(
            "Problem x",
            headers={
                "In-Reply-To": "<21.839283e8865b6c827048372138ea7d6d.37.45b0f935ae500bfda8c96e83d69d47b1@zabbix.com>",
                "Message-ID": "<a@b>",
            },
        ),
        mail("The alerts of Alertmanager", subject="[FIRING:1] what is this"),
        mail("db-01", subject="Check_MK: db-01 shows nonsense"),
    ],
)
def test_what_only_looks_like_an_alert_stays_a_persons_mail(data: bytes) -> None:
    assert event(data).kind is Kind.MESSAGE


BACKUP = {
    "name": "backup",
    "from": "^backup@",
    "subject": r"^(?P<state>\w+): job (?P<service>\S+) on (?P<host>\S+)$",
    "text": r"Volume: (?P<volume>\S+)",
    "kinds": {"OK": "recovery"},
    "severities": {"FAILED": "major"},
}


def test_a_pattern_of_the_operator_makes_an_alert_of_a_mail() -> None:
    sent = {"From": "Backup <backup@a.example>"}
    failed = event(mail("Volume: v1\n", headers=sent, subject="FAILED: job daily on db-01"), patterns=[BACKUP])
    assert (failed.kind, failed.severity, failed.host, failed.service, failed.state) == (
        Kind.PROBLEM,
        Severity.MAJOR,
        "db-01",
        "daily",
        "FAILED",
    )
    assert (failed.labels["volume"], failed.labels["mail.alert"]) == ("v1", "backup")
    good = event(mail("Volume: v1\n", headers=sent, subject="ok: job daily on db-01"), patterns=[BACKUP])
    assert (good.kind, good.origin_key) == (Kind.RECOVERY, failed.origin_key)
    assert event(mail("Volume: v1\n", subject="FAILED: job daily on db-01"), patterns=[BACKUP]).kind is Kind.MESSAGE


def test_an_expression_that_is_not_re2_is_refused() -> None:
    with pytest.raises(ValidationError, match="perl operator"):
        KIND.settings.model_validate({"kind": "mail", "patterns": [{"name": "x", "subject": "(?=a)"}]})


def test_an_alert_within_a_multipart_is_read_too() -> None:
    assert b"State: DOWN" in HOST_DOWN
    data = multipart(part(HOST_DOWN), part("<pre>x</pre>", "text/html"), subtype="alternative").replace(
        b"Subject: Printer", b"Subject: ** PROBLEM Host Alert: web01 is DOWN **"
    )
    assert event(data).kind is Kind.PROBLEM

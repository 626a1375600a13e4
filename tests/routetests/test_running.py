"""Tests of a configuration run on virtual time against real connectors and the sandbox's doubles, without a network."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.config.models import HelpdeskSettings
from gateway.helpdesks.osticket.connector import OsTicketConnector
from gateway.routetests import desks
from gateway.routetests.plain import PlainDesk
from gateway.sandbox.store import Store
from tests.cli.support import CAPTURES, tg
from tests.routetests.files import HEAD, outcome, passed, run, written

DESIGN = """\
version: 1
server:
  http:    {listen: "127.0.0.1:8025", max_body: 25MiB, trusted_proxies: []}
  journal: {url: "sqlite:///data/journal.db", keep: 30d, min_free: 1GiB}
sources:
  nagios-hq:
    kind: nagios
    auth: {bearer: "${env:NAGIOS_TOKEN}"}
  zabbix:
    kind: zabbix
    auth: {bearer: "${env:ZABBIX_TOKEN}"}
    timezone: Europe/Berlin
    wait: 5s
helpdesks:
  zammad:
    kind: zammad
    url: https://zammad.example.org
    auth: {token: "${file:/run/secrets/zammad}"}
    limits: {concurrency: 4, rate: 10/s, timeout: 30s, settle: 90s}
schedules:
  maintenance: {tz: Europe/Berlin, windows: ["2026-12-05T22:00/2026-12-06T04:00"]}
routes:
  - name: maintenance
    match: {kind: [problem, recovery]}
    when:  {during: maintenance}
    drop:  {reason: maintenance}

  - name: databases
    match:
      source: [nagios-hq, zabbix]
      host: {glob: "db-*"}
      severity: {gte: warning}
      not: {labels.env: [dev, test]}
    vars: {site: "{{ event.host.split('-')[1] | upper }}"}
    ticket:
      helpdesk: zammad
      template: alert
      title: "[{{ event.severity }}] {{ event.service }} on {{ event.host }}"
      fields:
        group: "DBA::{{ vars.site }}"
        priority: {from: severity, table: {critical: "3 high", "*": "2 normal"}}
        customer: monitoring@example.org
        tags: [monitoring, "{{ event.source }}"]
    incident:
      key: [host, service]
      across: [nagios-hq, zabbix]
      confirm: 90s
      repeat: {append_every: 1h}
      escalate: append
      recover: {action: close, hold: 5m, only_if_untouched: true, orphan: ignore}
      reopen_within: 3d
      flap: {changes: 6, within: 30m}
      storm: {limit: 20, within: 10m, per: [source], then: digest}
      expire: {after: 14d, then: note}
unrouted: {dead_letter: true}
tests:
  - name: a database alert makes one ticket, escalates, closes after the hold
    steps:
      - {at: 0s,   send: {source: nagios-hq, kind: problem, host: db-fra-1, service: disk, severity: warning}}
      - {at: 30s,  expect: {tickets: 0}}
      - {at: 91s,  expect: {create: {helpdesk: zammad, group: "DBA::FRA"}}}
      - {at: 5m,   send: {source: zabbix, kind: problem, host: db-fra-1, service: disk, severity: critical}}
      - {at: 5m,   expect: {append: 1, create: 0}}
      - {at: 20m,  send: {source: nagios-hq, kind: recovery, host: db-fra-1, service: disk}}
      - {at: 26m,  expect: {close: 0}}                  # Zabbix still sees it
      - {at: 30m,  send: {source: zabbix, kind: recovery, host: db-fra-1, service: disk}}
      - {at: 36m,  expect: {close: 1}}
  - name: a storm makes one digest ticket beyond its limit, which closes when all is over
    steps:
      - {at: 0s, times: 50, every: 1s, send: {source: nagios-hq, host: "db-fra-{n}", service: disk}}
      - {at: 1h, expect: {tickets: 21, reason: [storm_began, joined_storm]}}
      - {at: 1h, times: 50, every: 1s, send: {source: nagios-hq, kind: recovery, host: "db-fra-{n}", service: disk}}
      - {at: 2h, expect: {open_incidents: 0}}
"""


def test_two_tools_one_fault_from_the_first_alarm_to_the_close(tmp_path: Path) -> None:
    (tmp_path / "routes.yaml").write_text(DESIGN)
    result = run(tmp_path / "routes.yaml")
    assert result.exit_code == 0, result.output
    assert "2 tests, none failed" in result.output


def test_the_tests_of_the_shipped_configuration_hold_and_reach_every_route() -> None:
    result = tg("test", Path(__file__).parents[2] / "routes.yaml", "--strict")
    assert result.exit_code == 0, result.output
    assert "no test reaches" not in result.output


def test_every_helpdesk_gets_its_own_fields_by_its_own_connector(tmp_path: Path) -> None:
    passed(
        tmp_path,
        """\
- name: three helpdesks
  steps:
    - {at: 0s, send: {source: nagios, host: web1, service: HTTP}}
    - {at: 0s, send: {source: zabbix, host: web1, labels: {object: "7"}}}
    - {at: 0s, send: {source: shop, json: {title: paper is out, host: till, kind: problem}}}
    - at: 2m
      expect:
        create:
          - {helpdesk: osticket, topicId: 77}
          - {helpdesk: otobo, queue: "Shop::till", title: paper}
          - helpdesk: zammad
            group: "Ops::web1"
            priority: 3 high
            body: {contains: web1}
            title: {glob: "*HTTP*"}
            request: '"group":"Ops::web1"'
        tickets: {osticket: 1, zammad: 1, otobo: 1}
    - {at: 3m, send: {source: nagios, kind: recovery, host: web1, service: HTTP}}
    - {at: 9m, expect: {close: {helpdesk: zammad, state: closed}, open_incidents: 2}}
""",
    )


def test_a_helpdesk_in_shadow_mode_is_tested_as_if_it_were_live(tmp_path: Path) -> None:
    passed(
        tmp_path,
        "- {name: shadow, steps: [{at: 0s, send: {source: zabbix, host: a}, expect: {create: 1, tickets: 1}}]}\n",
        HEAD.replace("    kind: osticket\n", "    kind: osticket\n    mode: shadow\n"),
    )


def test_a_confirm_that_ends_at_the_instant_of_an_expectation_has_ended(tmp_path: Path) -> None:
    passed(
        tmp_path,
        """\
- name: to the second
  steps:
    - {at: 0s, send: {source: nagios, host: web1}}
    - {at: 89s, expect: {create: 0}}
    - {at: 90s, expect: {create: 1}}
- name: but what comes at that instant still counts
  steps:
    - {at: 0s, send: {source: nagios, host: web1}}
    - {at: 90s, send: {source: nagios, kind: recovery, host: web1}, expect: {tickets: 0, reason: not_confirmed}}
""",
    )


def test_schedules_are_met_at_the_instant_at_which_a_test_starts(tmp_path: Path) -> None:
    passed(
        tmp_path,
        """\
- name: the night begins
  start: 2026-01-07T21:59+01:00
  steps:
    - {at: 0s, send: {source: nagios, host: web1, severity: warning}}
    - {at: 2m, send: {source: nagios, host: web2, severity: warning}}
    - {at: 3m, send: {source: nagios, host: web3, severity: critical}}
    - {at: 5m, expect: {create: 2, dropped: it is night, route: [alerts, nights]}}
""",
    )


def test_two_weeks_pass_in_no_time(tmp_path: Path) -> None:
    passed(
        tmp_path,
        """\
- name: nobody says anything any more
  steps:
    - {at: 0s, send: {source: nagios, host: web1}}
    - {at: 13d, expect: {create: 1, append: 0}}
    - {at: 15d, expect: {append: {reason: expired}}}
""",
    )


def test_faults_of_a_helpdesk_are_met_as_in_real_life(tmp_path: Path) -> None:
    passed(
        tmp_path,
        """\
- name: down, then well again
  steps:
    - {at: 0s, fault: {osticket: down}, send: {source: zabbix, host: a}}
    - {at: 10h, fault: clear, expect: {tickets: 0, actions: 0, reason: not_sent}}
    - {at: 12h, expect: {create: 1, tickets: 1}}
- name: the answer is lost after the ticket is made
  steps:
    - {at: 0s, fault: {zammad: {fault: commit_then_hang, seconds: 2m, count: 1}, osticket: commit_then_drop}}
    - {at: 0s, send: {source: support, text: please}}
    - {at: 0s, send: {source: zabbix, host: a}, expect: {create: 0, tickets: {zammad: 1, osticket: 1}}}
    - {at: 5m, expect: {create: [{helpdesk: osticket}, {helpdesk: zammad, reason: found}], tickets: 2}}
- name: a slow helpdesk takes its time
  steps:
    - {at: 0s, fault: {osticket: {fault: slow, seconds: 20s}}, send: {source: zabbix, host: a}}
    - {at: 19s, expect: {create: 0}}
    - {at: 21s, expect: {create: 1, reason: delivered}}
- name: credentials that are refused pause the queue, and nothing grows old
  steps:
    - {at: 0s, fault: {zammad: auth_broken}, send: {source: support, text: please}}
    - {at: 1d, fault: {zammad: clear}, expect: {create: 0, dead_letters: 0, reason: auth_broken}}
    - {at: 25h, expect: {create: 1}}
- name: a week of nothing but errors is a dead letter
  steps:
    - {at: 0s, fault: {osticket: database_down}, send: {source: zabbix, host: a}}
    - {at: 8d, expect: {create: 0, dead_letters: 1, reason: too_old}}
""",
    )


def test_an_agent_may_close_a_ticket_and_a_relapse_opens_it_again(tmp_path: Path) -> None:
    passed(
        tmp_path,
        """\
- name: closed by hand
  steps:
    - {at: 0s, send: {source: support, text: please, from: a@customer.example, message_id: 1@customer.example}}
    - {at: 1h, agent: {zammad: close}}
    - {at: 2h, send: {source: support, text: again, from: a@customer.example, in_reply_to: 1@customer.example}}
    - {at: 2h, expect: {create: 1, append: {state: open}, tickets: 1}}
""",
    )
    path = written(tmp_path, "- name: early\n  steps: [{at: 0s, agent: {osticket: close}, expect: {actions: 0}}]\n")
    assert "expected  a ticket to close\n  happened  there is none" in run(path).output


def test_all_that_is_due_later_is_done_when_it_is_due(tmp_path: Path) -> None:
    passed(
        tmp_path,
        """\
- name: nobody looks after it
  steps:
    - {at: 0s, send: {source: zabbix, host: a, origin_key: a}}
    - {at: 29m, expect: {create: {priority: 2 normal}, update: 0}}
    - {at: 31m, expect: {update: {priority: 3 high, reason: escalated}}}
- name: somebody looks after it
  steps:
    - {at: 0s, send: {source: zabbix, host: a, origin_key: a}}
    - {at: 9m, send: {source: zabbix, kind: acknowledgement, host: a, origin_key: a}}
    - {at: 2h, expect: {create: 1, update: 0}}
- name: it comes and goes
  steps:
    - {at: 0s, times: 4, every: 4m, send: {source: zabbix, host: a, origin_key: a}}
    - {at: 12m, send: {source: zabbix, kind: recovery, host: a, origin_key: a}}
    - {at: 13m, send: {source: zabbix, host: a, origin_key: a}}
    - {at: 14m, send: {source: zabbix, kind: recovery, host: a, origin_key: a}, expect: {reason: flapping}}
    - {at: 2h, expect: {create: 0, close: 1, tickets: 1, reason: calm}}
- name: the host is down
  steps:
    - {at: 0s, send: {source: zabbix, host: a, origin_key: a}}
    - {at: 1m, times: 3, send: {source: zabbix, host: a, service: "s{n}", origin_key: "a{n}"}}
    - {at: 1m, expect: {create: 1, reason: suppressed}}
    - {at: 9m, send: {source: zabbix, kind: recovery, host: a, origin_key: a}}
    - {at: 10m, send: {source: zabbix, kind: recovery, host: a, service: s1, origin_key: a1}}
    - {at: 1h, expect: {create: 2, tickets: 3, reason: not_confirmed}}
""",
        HEAD.replace(
            "ticket: {helpdesk: osticket, template: alert, fields: {topicId: 77}}",
            """ticket: {helpdesk: zammad, template: alert, fields: {priority: 2 normal}}
    incident:
      key: [host, service]
      escalate: {after: 30m, action: update, fields: {priority: 3 high}}
      flap: {changes: 3, within: 30m}
      suppressed_by: host""",
        ),
    )


def test_a_helpdesk_that_hangs_for_a_day_does_not_hold_up_the_tests(tmp_path: Path) -> None:
    passed(
        tmp_path,
        """\
- name: a very long answer
  steps:
    - {at: 0s, fault: {osticket: {fault: hang_before_commit, seconds: 1d, count: 1, commits: false}}}
    - {at: 0s, send: {source: zabbix, host: a}}
    - {at: 7d, expect: {tickets: 1}}
""",
    )


FALLING_BACK = HEAD.replace(
    "ticket: {helpdesk: osticket, template: alert, fields: {topicId: 77}}",
    """ticket:
      helpdesk: osticket
      template: alert
      fields: {topicId: 77}
      fallback: [{helpdesk: otobo, after: 20m, fields: {queue: Lost}}, {helpdesk: mailbox}]""",
)


def test_a_ticket_goes_to_another_helpdesk_when_the_first_one_has_it_not_in_time(tmp_path: Path) -> None:
    passed(
        tmp_path,
        """\
- name: not taken for twenty minutes
  steps:
    - {at: 0s, fault: {osticket: down}, send: {source: zabbix, host: a, origin_key: a}}
    - {at: 19m, expect: {tickets: 0}}
    - {at: 21m, expect: {create: {helpdesk: otobo, queue: Lost}, reason: fell_back, tickets: {otobo: 1, osticket: 0}}}
    - {at: 1h, fault: clear, send: {source: zabbix, kind: recovery, host: a, origin_key: a}}
    - {at: 2h, expect: {close: {helpdesk: otobo}, tickets: 1}}
- name: credentials are refused, then the next one is away as well
  steps:
    - {at: 0s, fault: {osticket: auth_broken, otobo: down}, send: {source: zabbix, host: a, origin_key: a}}
    - {at: 1h, expect: {create: {helpdesk: mailbox}, tickets: {mailbox: 1, otobo: 0, osticket: 0}}}
    - {at: 1h, send: {source: zabbix, kind: recovery, host: a, origin_key: a}, expect: {append: {helpdesk: mailbox}}}
- name: what may have been made goes nowhere else
  steps:
    - {at: 0s, fault: {osticket: commit_then_drop}, send: {source: zabbix, host: a, origin_key: a}}
    - {at: 1d, expect: {create: {helpdesk: osticket}, tickets: 1}}
""",
        FALLING_BACK,
    )


def test_headers_are_those_that_rules_see(tmp_path: Path) -> None:
    passed(
        tmp_path,
        """\
- name: by a header
  steps:
    - {at: 0s, send: {source: zabbix, host: a, headers: {X-Event-Key: pr}}, expect: {dropped: a header says so}}
    - {at: 1m, send: {source: shop, json: {title: x}, headers: {X-Event-Key: pr}}, expect: {dropped: a header says so}}
    - {at: 2m, send: {source: shop, json: {title: y}}, expect: {dropped: 0, create: 1}}
""",
        HEAD.replace(
            "routes:\n", "routes:\n  - {name: h, match: {headers.x-event-key: pr}, drop: {reason: a header says so}}\n"
        ),
    )


def test_one_event_may_have_several_routes_and_tickets(tmp_path: Path) -> None:
    passed(
        tmp_path,
        """\
- name: both teams
  steps:
    - {at: 0s, send: {source: zabbix, host: a, origin_key: a}}
    - {at: 1m, expect: {route: [zabbix, all], create: [{helpdesk: osticket}, {helpdesk: zammad}]}}
    - {at: 2m, send: {source: zabbix, kind: recovery, host: a, origin_key: a}}
    - {at: 3m, expect: {route: [zabbix, all], append: {helpdesk: osticket}, close: {helpdesk: zammad}}}
""",
        HEAD.replace(
            "fields: {topicId: 77}}\n",
            "fields: {topicId: 77}}\n    then: continue\n"
            "  - {name: all, match: {source: zabbix}, ticket: {helpdesk: zammad, template: alert}}\n",
        ),
    )


def test_what_a_person_did_counts(tmp_path: Path) -> None:
    passed(
        tmp_path,
        """\
- name: somebody answered, so the ticket stays open
  steps:
    - {at: 0s, send: {source: nagios, host: web1}}
    - {at: 10m, agent: {zammad: answer}}
    - {at: 20m, send: {source: nagios, kind: recovery, host: web1}}
    - {at: 30m, expect: {create: 1, close: 0, skipped: {reason: touched}, actions: 1}}
""",
        HEAD.replace("recover: {hold: 5m}", "recover: {hold: 5m, only_if_untouched: true}"),
    )


def test_what_a_person_did_is_learned_between_actions(tmp_path: Path) -> None:
    passed(
        tmp_path,
        """\
- name: told by the helpdesk
  steps:
    - {at: 0s, send: {source: zabbix, host: a, origin_key: a}}
    - {at: 1m, agent: {zammad: close}}
    - {at: 2m, expect: {create: 1, reason: closed_by_hand}}
    - {at: 2h, send: {source: zabbix, host: a, origin_key: a}, expect: {append: {state: open}, tickets: 1}}
- name: found out by a look
  steps:
    - {at: 0s, send: {source: shop, json: {title: broken, host: a, origin_key: a, kind: problem, severity: major}}}
    - {at: 1m, agent: {otobo: close}}
    - {at: 3m, expect: {create: 1, actions: 1}}
    - {at: 7m, expect: {actions: 0, reason: closed_by_hand}}
- name: who answers looks after it
  steps:
    - {at: 0s, send: {source: shop, json: {title: broken, host: a, origin_key: a, kind: problem, severity: major}}}
    - {at: 1m, agent: {otobo: answer}}
    - {at: 2h, expect: {create: 1, append: 0, reason: touched}}
""",
        HEAD.replace("    group: Users\n", '    group: Users\n    notify: {secret: "${env:NOTIFY}"}\n')
        .replace("    queue: Raw\n", "    queue: Raw\n    poll: 5m\n")
        .replace(
            "ticket: {helpdesk: osticket, template: alert, fields: {topicId: 77}}",
            "ticket: {helpdesk: zammad, template: alert}\n"
            "    incident: {closed_by_hand: reopen, repeat: {append_every: 1h}}",
        )
        .replace(
            'fields: {queue: "Shop::{{ event.host }}"}}',
            'fields: {queue: "Shop::{{ event.host }}"}}\n    incident: {escalate: {after: 30m}}',
        ),
    )


WEBHOOK = HEAD.replace(
    "schedules:\n",
    """\
  api:
    kind: webhook
    url: https://desk.example.org/api/v2
    auth: {bearer: "${env:DESK_TOKEN}"}
    probe: {url: /me}
    create:
      url: /tickets
      body: {title: "{{ title }}", text: "{{ text }}", priority: "{{ fields.priority }}"}
      answer: {id: data.id, number: data.number}
      idempotent: true
    append: {url: "/tickets/{{ ticket.id }}/notes", body: {text: "{{ text }}"}, idempotent: true}
    close: {method: PUT, url: "/tickets/{{ ticket.id }}", body: {state: closed}, also_append: true}
schedules:
""",
).replace(
    "ticket: {helpdesk: osticket, template: alert, fields: {topicId: 77}}",
    "ticket: {helpdesk: api, template: alert, fields: {priority: urgent}}",
)


def test_the_brake_holds_back_what_is_too_much_and_lets_it_go_in_time(tmp_path: Path) -> None:
    passed(
        tmp_path,
        """\
- name: twelve tickets, five an hour
  steps:
    - {at: 0s, times: 12, every: 1s, send: {source: zabbix, host: "h{n}", origin_key: "h{n}"}}
    - {at: 10m, expect: {create: 6, tickets: 6, reason: brake}}
    - {at: 70m, expect: {create: 5}}
    - {at: 3h, expect: {create: 2, dead_letters: 0, tickets: 13}}
""",
        HEAD.replace("    kind: osticket\n", "    kind: osticket\n    limits: {creates: 5/h}\n"),
    )


def test_a_webhook_is_tested_by_its_requests(tmp_path: Path) -> None:
    passed(
        tmp_path,
        """\
- name: a ticket over an API of one's own
  steps:
    - {at: 0s, fault: {api: {fault: commit_then_drop, count: 1}}, send: {source: zabbix, host: a, origin_key: a}}
    - {at: 1h, expect: {create: {helpdesk: api, priority: urgent, request: urgent}, tickets: 1}}
    - {at: 2h, send: {source: zabbix, kind: acknowledgement, host: a, origin_key: a, title: I look into it}}
    - {at: 2h, expect: {append: {request: /notes}}}
    - {at: 3h, send: {source: zabbix, kind: recovery, host: a, origin_key: a}, expect: {close: {state: closed}}}
""",
        WEBHOOK,
    )


def test_a_kind_without_a_stand_in_is_prepared_by_its_connector_and_never_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another package's kind: here osTicket's connector under another name, which must not call anybody."""

    async def called(*_: object, **__: object) -> None:
        raise AssertionError("the real connector was called")

    for name in ("call", "resolve", "probe"):
        monkeypatch.setattr(OsTicketConnector, name, called)
    monkeypatch.setattr(desks, "_desk", _without_stand_in)
    passed(
        tmp_path,
        """\
- name: made, repeated, lost on the way, found
  steps:
    - {at: 0s, send: {source: zabbix, host: a}, expect: {create: {topicId: 77}, tickets: {osticket: 1}}}
    - {at: 1m, send: {source: zabbix, kind: recovery, host: a}, expect: {append: {reason: close_unsupported}}}
    - {at: 2m, fault: {osticket: down}, send: {source: zabbix, host: b}, expect: {create: 0, reason: not_sent}}
    - {at: 3m, fault: {osticket: {fault: commit_then_hang, count: 1, seconds: 5m}}}
    - {at: 1h, expect: {create: {reason: found}, tickets: 2}}
    - {at: 1h, fault: {osticket: auth_broken}, send: {source: zabbix, host: c}}
    - {at: 2h, fault: clear, expect: {create: 0, reason: auth_broken}}
    - {at: 3h, agent: {osticket: close}, expect: {create: 1, tickets: 3}}
""",
    )


def _without_stand_in(name: str, settings: HelpdeskSettings, clock: Callable[[], float]) -> desks.Desk:
    store = Store(None)
    return desks.Desk(name, settings, PlainDesk(store, clock), store)


def test_a_breaker_that_is_open_opens_no_second_later_than_it_would(tmp_path: Path) -> None:
    passed(
        tmp_path,
        """\
- name: many alarms, no helpdesk
  steps:
    - {at: 0s, fault: {osticket: down}}
    - {at: 0s, times: 8, every: 1s, send: {source: zabbix, host: "h{n}"}}
    - {at: 1h, fault: clear, expect: {create: 0}}
    - {at: 2h, expect: {create: 8, tickets: 8}}
- name: a hundred repeats
  steps:
    - {at: 0s, times: 100, every: 10s, send: {source: zabbix, host: a}, expect: {create: 1, append: 0, reason: repeated}}
""",
    )


def test_a_recorded_request_and_a_mail_go_through_their_own_parsers(tmp_path: Path) -> None:
    for name in ("01-form-svc-problem.json", "03-form-svc-recovery.json"):
        (tmp_path / name).write_bytes((CAPTURES / "nagios" / name).read_bytes())
    (tmp_path / "help.eml").write_bytes(
        b"From: Jane <jane@customer.example>\r\nTo: support@gateway.example.org\r\nSubject: Hilfe =?utf-8?q?f=C3=BCr?= Jane\r\n"
        b"Message-ID: <a@customer.example>\r\nDate: Wed, 07 Jan 2026 12:00:00 +0000\r\n\r\nDas Netz ist weg.\r\n"
    )
    passed(
        tmp_path,
        """\
- name: as they were sent
  steps:
    - {at: 0s, send: {source: nagios, file: 01-form-svc-problem.json}}
    - {at: 2m, send: {source: nagios, file: 03-form-svc-recovery.json}}
    - {at: 8m, expect: {create: {group: "Ops::web01"}, close: 1}}
    - {at: 9m, send: {source: support, file: help.eml}}
    - {at: 9m, expect: {create: {title: Hilfe für Jane, customer: jane@customer.example, body: Das Netz}}}
    - {at: 10m, send: {source: support, file: help.eml}}
    - {at: 10m, expect: {actions: 0, reason: duplicate}}
    - at: 11m
      send: {source: support, from: jane@customer.example, title: "Re: Hilfe", text: wieder da, in_reply_to: a@customer.example}
      expect: {append: {body: wieder da}, create: 0}
- name: addresses count as at the door
  steps:
    - {at: 0s, send: {source: support, text: hello, to: nobody@elsewhere.example}, expect: {actions: 0, open_incidents: 0}}
- name: a form, a body that is refused, one that nobody can read
  steps:
    - {at: 0s, send: {source: nagios, form: {NOTIFICATIONTYPE: PROBLEM, HOSTNAME: web1, HOSTSTATE: DOWN}}}
    - {at: 0s, send: {source: shop, body: "{broken", content_type: application/json}}
    - {at: 2m, expect: {create: {group: "Ops::web1"}}}
""",
    )


def test_a_failure_names_the_place_what_was_expected_what_happened_and_why(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """\
- name: the wrong group
  steps:
    - {at: 0s, send: {source: nagios, host: web1}}
    - at: 2m
      expect:
        create: {helpdesk: zammad, group: "Ops::web2"}
        close: 1
""",
    )
    result = run(path)
    assert result.exit_code == 1
    line = HEAD.count("\n") + 7
    assert f"{path}:{line}:43: the wrong group: step 2, at 2m\n" in result.output
    assert 'expected  create: group = "Ops::web2"\n  happened  group = "Ops::web1"' in result.output
    assert f"{path}:{line + 1}:16:" in result.output
    assert "route nights: no, match.severity.lt wants critical; saw critical" in result.output
    assert "route alerts: takes it" in result.output
    assert "90s  action create in zammad: ticket 1000001 [confirmed, delivered] (route alerts)" in result.output
    assert "1 test, 1 failed" in result.output


def test_what_a_helpdesk_cannot_do_is_told_with_its_substitute(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """\
- name: osTicket closes nothing
  steps:
    - {at: 0s, send: {source: zabbix, host: a}}
    - {at: 1m, send: {source: zabbix, kind: recovery, host: a}}
    - {at: 2m, expect: {close: 1}}
""",
    )
    assert "this helpdesk cannot close: it got a follow-up instead" in run(path).output


def test_json_tells_the_same_and_a_name_chooses(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """\
- name: good
  steps: [{at: 0s, send: {source: zabbix, host: a}, expect: {create: 1}}]
- name: bad
  steps: [{at: 0s, send: {source: zabbix, host: a}, expect: {create: 2}}]
""",
    )
    told = outcome(path)
    assert told["ok"] is False
    assert told["routes_not_reached"] == ["nights", "alerts", "shop", "mail"]
    tests = told["tests"]
    assert isinstance(tests, list)
    assert [(one["name"], one["ok"]) for one in tests] == [("good", True), ("bad", False)]
    assert tests[1]["failures"][0] | {"file": ""} == {
        "file": "",
        "line": HEAD.count("\n") + 5,
        "column": 70,
        "path": "tests[1].steps[0].expect.create",
        "step": 1,
        "at": 0.0,
        "expected": "2 create",
        "happened": "1 create",
    }
    assert tests[0]["happened"][1]["action"] == "create"
    assert run(path, "-k", "GOOD").exit_code == 0
    assert run(path, "-k", "nothing").exit_code == 2
    assert run(path, "-k", "good", "--strict").exit_code == 0
    assert "no test reaches the route alerts" in run(path).output


def test_it_runs_twice_with_the_same_words(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """\
- name: an outage, told in full
  steps:
    - {at: 0s, fault: {osticket: hang_before_commit, zammad: refuse}, send: {source: zabbix, host: a}}
    - {at: 0s, send: {source: nagios, host: a}}
    - {at: 1h, fault: clear, expect: {create: 9}}
    - {at: 9h, expect: {create: 9}}
""",
    )

    def words() -> list[str]:
        lines = run(path, "-v").output.splitlines()
        return [line for line in lines if " ms)" not in line and not line.startswith(str(path) + ": 1 test")]

    assert words() == words()


def test_neither_a_helpdesk_nor_a_name_server_nor_anything_else_is_ever_called(tmp_path: Path) -> None:
    """In a process of its own, whose every way to the outside is an error."""
    path = written(
        tmp_path,
        """\
- name: all helpdesks, mail whose sender is checked
  steps:
    - {at: 0s, send: {source: nagios, host: web1}}
    - {at: 0s, send: {source: zabbix, host: web1}}
    - {at: 0s, send: {source: shop, json: {title: it broke}}}
    - {at: 0s, send: {source: support, text: please}}
    - {at: 2m, expect: {create: 4}}
""",
        HEAD.replace("support@gateway.example.org]", "support@gateway.example.org], verify: [dkim, spf, dmarc]"),
    )
    program = """
import sys
ways = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.bind", "subprocess.Popen",
        "os.posix_spawn", "os.fork", "os.exec"}
def watch(event, args):
    if event in ways or (event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+")):
        print("CAUGHT", event, args, flush=True)
sys.addaudithook(watch)
from gateway.cli import main
sys.argv = ["ticket-gateway", "test", sys.argv[1]]
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "CAUGHT" not in done.stdout
    assert "1 test, none failed" in done.stdout


def test_a_fallback_takes_the_ticket_when_its_time_has_come(tmp_path: Path) -> None:
    head = HEAD.replace(
        'fields: {group: "Ops::{{ event.host }}", priority: 3 high}}\n    incident: {confirm: 90s, recover: {hold: 5m}',
        "fields: {priority: 3 high}, fallback: {helpdesk: osticket, after: 15m, fields: {topicId: 77}}}\n"
        "    incident: {recover: {hold: 5m}",
    )
    assert "fallback" in head
    tests = """\
- name: zammad is down for an hour
  steps:
    - {at: 0s, fault: {zammad: down}, send: {source: nagios, host: web1, service: HTTP}}
    - {at: 14m, expect: {create: 0}}
    - {at: 15m, expect: {create: {helpdesk: osticket, topicId: 77}, reason: fell_back, skipped: 0}}
    - {at: 1h, fault: clear}
    - {at: 2h, expect: {tickets: {zammad: 0, osticket: 1}}}
    - {at: 2h, send: {source: nagios, host: web1, service: HTTP, kind: recovery}}
    - {at: 3h, expect: {append: {helpdesk: osticket, reason: close_unsupported}, dead_letters: 0}}
- name: what zammad may have taken waits for it
  steps:
    - {at: 0s, fault: {zammad: commit_then_drop}, send: {source: nagios, host: web1, service: HTTP}}
    - {at: 1s, fault: {zammad: html_error}}
    - {at: 5h, expect: {tickets: {zammad: 1, osticket: 0}}}
    - {at: 5h, fault: clear}
    - {at: 8h, expect: {tickets: {zammad: 1, osticket: 0}, create: {helpdesk: zammad}}}
"""
    passed(tmp_path, tests, head)


def test_what_waits_is_done_as_the_fallback_can_and_stays_there(tmp_path: Path) -> None:
    head = (
        HEAD[: HEAD.index("routes:")]
        + """\
unrouted:
  ticket:
    helpdesk: zammad
    template: alert
    fallback:
      - {helpdesk: otobo, after: 10m, escalated: {priority: 5 very high}}
      - {helpdesk: osticket, after: 20m}
  incident: {key: [host, service], escalate: {severity: update, fields: {priority: 3 high}}, reopen_within: 1h}
"""
    )
    story = """\
    - {at: 1s, send: {source: nagios, host: h, service: s, severity: warning}}
    - {at: 2s, send: {source: nagios, host: h, service: s, severity: critical}}
    - {at: 3s, send: {source: nagios, host: h, service: s, kind: recovery}}
"""
    tests = f"""\
- name: it is changed, closed and opened again in otobo
  steps:
    - {{at: 0s, fault: {{zammad: down}}}}
{story}\
    - at: 11m
      expect:
        create: {{helpdesk: otobo, reason: fell_back}}
        update: {{helpdesk: otobo, priority: 5 very high}}
        close: {{helpdesk: otobo}}
    - {{at: 12m, fault: clear, send: {{source: nagios, host: h, service: s, severity: critical, text: more}}}}
    - {{at: 13m, expect: {{reopen: {{helpdesk: otobo}}, tickets: {{zammad: 0, osticket: 0, otobo: 1}}}}}}
- name: all of it is follow-ups in osticket
  steps:
    - {{at: 0s, fault: {{zammad: down, otobo: auth_broken}}}}
{story}\
    - {{at: 15m, expect: {{tickets: 0}}}}
    - {{at: 31m, expect: {{append: 2, tickets: {{osticket: 1, otobo: 0, zammad: 0}}, dead_letters: 0}}}}
"""
    passed(tmp_path, tests, head)

"""A real Nagios Core, with the definitions that are shipped, before the real gateway: both ways of sending at once."""

import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.crash.harness import wait_for
from tests.senders.house import TOKEN, House, house
from tests.senders.nagios_core import HOST, SHIPPED, Nagios, program, running

needs_nagios = pytest.mark.skipif(
    program() is None or not Path("/usr/bin/curl").exists(),
    reason="needs Nagios Core and curl; Debian: apt install nagios4-core curl",
)

WAYS = ("curl", "notify")


@contextmanager
def nagios_before(here: House, services: list[str], **kinds: list[str]) -> Iterator[Nagios]:
    with running(
        curl_url=here.url("curl"), notify_url=here.url("notify"), token=TOKEN, services=services, **kinds
    ) as nagios:
        yield nagios


class Watch:
    """Sees each notification through to the gateway on both ways before the next thing is done."""

    def __init__(self, here: House, nagios: Nagios) -> None:
        self.here = here
        self.nagios = nagios
        self.seen: Counter[str] = Counter()

    def arrives(self, notification: str) -> None:
        """Wait until Nagios has sent this once more, and the gateway has had all that Nagios sent."""
        self.seen[notification] += 1
        wait_for(lambda: self.nagios.notified().count(notification) >= self.seen[notification], notification)
        wait_for(
            lambda: all(len(self.here.events(way)) >= len(self.nagios.notified()) for way in WAYS),
            f"the gateway to have {notification}",
        )

    def more_than(self, number: int) -> None:
        """Wait until Nagios has sent more notifications than this."""
        wait_for(lambda: len(self.nagios.notified()) > number, "one more notification")


def all_of(here: House, way: str, number: int) -> None:
    """Wait until the gateway has so many events of one way."""
    wait_for(lambda: len(here.events(way)) >= number, f"{number} events by {way}", 25)


@needs_nagios
def test_each_notification_of_nagios_stands_where_a_person_looks_for_it(tmp_path: Path) -> None:
    long = "Größe & <b>kaputt</b> `id` $HOME 100%41+1\\nzweite Zeile D:\\tmp\\n  dritte; Zeile | x=1"
    with (
        house(tmp_path) as here,
        nagios_before(here, ["HTTP", "Disk", "Flap"], renotify=["HTTP"], flapping=["Flap"]) as nagios,
    ):
        watch = Watch(here, nagios)
        nagios.service("Disk", "CRITICAL", "no space")
        watch.arrives("Disk CRITICAL")
        now = int(time.time())
        nagios.command(f"SCHEDULE_SVC_DOWNTIME;{HOST};Disk;{now};{now + 6};1;0;6;anna;replace the disk")
        wait_for(lambda: "Disk DOWNTIMESTART (CRITICAL)" in nagios.notified(), "the downtime")
        nagios.service("Disk", "OK", "space again")  # a recovery inside a downtime: Nagios says nothing of it
        watch.arrives("Disk DOWNTIMESTART (CRITICAL)")

        nagios.service("HTTP", "WARNING", '50% of it\'s answers "late" at C:\\Temp | t=5s')
        watch.arrives("HTTP WARNING")
        second = int(time.time())
        wait_for(lambda: int(time.time()) > second + 1, "the notification interval")
        nagios.service("HTTP", "WARNING", "still slow")
        watch.arrives("HTTP WARNING")
        nagios.service("HTTP", "CRITICAL", long)
        watch.arrives("HTTP CRITICAL")
        nagios.command(f"ACKNOWLEDGE_SVC_PROBLEM;{HOST};HTTP;1;1;0;Jörg O'Neil;it's the \"proxy\"")
        watch.arrives("HTTP ACKNOWLEDGEMENT (CRITICAL)")
        nagios.command(f"SEND_CUSTOM_SVC_NOTIFICATION;{HOST};HTTP;0;anna;please call back")
        watch.arrives("HTTP CUSTOM (CRITICAL)")
        now = int(time.time())
        nagios.command(f"SCHEDULE_SVC_DOWNTIME;{HOST};HTTP;{now};{now + 900};1;0;900;anna;new proxy")
        watch.arrives("HTTP DOWNTIMESTART (CRITICAL)")
        nagios.command(f"DEL_DOWNTIME_BY_HOST_NAME;{HOST};HTTP")
        watch.arrives("HTTP DOWNTIMECANCELLED (CRITICAL)")
        nagios.service("HTTP", "OK", "all good")
        watch.arrives("HTTP OK")

        nagios.host("DOWN", "no ping; 100% loss")
        watch.arrives(f"{HOST} DOWN")
        nagios.host("UP", "ping fine")
        watch.arrives(f"{HOST} UP")

        turns = ("CRITICAL", "OK") * 10
        for state in turns:
            before = len(nagios.notified())
            nagios.service("Flap", state, "up and down")
            watch.more_than(before)
            watch.arrives(nagios.notified()[-1])
            if nagios.notified()[-1].startswith("Flap FLAPPINGSTART"):
                break
        # Nagios holds PROBLEM and RECOVERY back from now on.
        for _ in range(25):
            nagios.service("Flap", "OK", "calm")
        watch.arrives("Flap FLAPPINGSTOP (OK)")
        watch.arrives("Disk DOWNTIMEEND (OK)")
        wait_for(here.drained, "the gateway to have done all")

        for way in WAYS:
            reads_well(here, way)
        assert len(here.tickets()) == 2 * 4  # HTTP, Disk, Flap and the host, for each way


def reads_well(here: House, way: str) -> None:
    """What one way brought, ticket by ticket."""
    events = here.events(way)
    assert len({event.id for event in events}) == len(events)

    def reasons(thing: str) -> list[str]:
        return [str(event.reason) for event in events if re.search(rf"\b{thing}\b", event.title)]

    def ticket(thing: str) -> tuple[str, list[str]]:
        (number,) = {event.ticket for event in events if re.search(rf"\b{thing}\b", event.title)}
        return here.ticket(number)

    assert reasons("HTTP") == ["opened", "repeated", "severity_raised", *["noted"] * 4, "recovered"]
    subject, notes = ticket("HTTP")
    assert subject == "WARNING: HTTP on web01"
    assert "Webserver Köln" in notes[0]
    assert "wiki.example.org/web01" in notes[0]
    # curl gets what `illegal_macro_output_chars` leaves; the environment has it all.
    quoted = {"curl": "50% of its answers late at C:\\Temp", "notify": '50% of it\'s answers "late" at C:\\Temp'}
    assert quoted[way] in notes[0]
    assert "CRITICAL" in notes[1]  # it got worse, which is told at once
    assert {"curl": "Jörg ONeil: its the proxy", "notify": "Jörg O'Neil: it's the \"proxy\""}[way] in notes[2]
    assert "100%41+1\nzweite Zeile D:\\tmp\n  dritte; Zeile</pre>" in notes[2]
    assert "anna: please call back" in notes[3]
    assert "Downtime started: HTTP on web01 is CRITICAL" in notes[4]
    assert "Downtime cancelled: HTTP on web01 is CRITICAL" in notes[5]
    assert "The problem is over" in notes[6]
    assert "3 times" in notes[6]

    assert reasons("Disk") == ["opened", "noted", "recovered"]
    assert "anna: replace the disk\n\nspace again" in ticket("Disk")[1][2]
    assert [event.reason for event in events if "web01" in event.title and " on " not in event.title] == [
        "opened",
        "recovered",
    ]
    assert "no ping: 100% loss" in ticket("(?:DOWN|UP): web01")[1][0]
    flapping = reasons("Flap")
    assert flapping[-2:] == ["noted", "recovered"]
    assert "Flapping stopped: Flap on web01 is OK" in ticket("Flap")[1][-1]


@needs_nagios
def test_fifty_alarms_over_a_kill_of_the_gateway_make_fifty_tickets_on_each_way(tmp_path: Path) -> None:
    """With curl, which tries again for some twenty seconds, and notify, which keeps on the disk what it could not send."""
    services = [f"many{number:02}" for number in range(50)]
    with house(tmp_path) as here, nagios_before(here, services) as nagios:
        for start in (0, 25):  # the command file takes 4 KiB at a time
            nagios.command(
                *(f"PROCESS_SERVICE_CHECK_RESULT;{HOST};{name};2;failed" for name in services[start : start + 25])
            )
        wait_for(lambda: any(here.events(way) for way in WAYS), "the first of them")
        here.kill()
        wait_for(lambda: len(nagios.notified()) == 50, "Nagios to have sent all")
        here.start()
        wait_for(lambda: nagios.flush().returncode == 0, "the spool to be sent")
        for way in WAYS:
            all_of(here, way, 50)
        wait_for(here.drained, "the gateway to have done all")
        wait_for(lambda: not list((nagios.spool / "new").iterdir()), "an empty spool")
        for way in WAYS:
            events = here.events(way)
            assert sorted(event.title for event in events) == [f"CRITICAL: {name} on web01" for name in services]
            assert {str(event.reason) for event in events} == {"opened"}
        assert Counter(ticket["subject"] for ticket in here.tickets()) == {
            f"CRITICAL: {name} on web01": 2 for name in services
        }


@needs_nagios
def test_a_trap_that_sets_and_clears_an_alarm_at_once_leaves_no_problem_behind(tmp_path: Path) -> None:
    """Nagios runs the commands of both notifications side by side: the recovery may come first."""
    services = [f"trap{number:02}" for number in range(20)]
    with house(tmp_path) as here, nagios_before(here, services) as nagios:
        nagios.command(
            *(f"PROCESS_SERVICE_CHECK_RESULT;{HOST};{name};{state};trap" for name in services for state in (2, 0))
        )
        for way in WAYS:
            all_of(here, way, 40)
        wait_for(here.drained, "the gateway to have done all")
        for way in WAYS:
            for name in services:
                became = [str(event.reason) for event in here.events(way) if name in event.title]
                assert became in (["opened", "recovered"], ["orphan_recovery", "stale"])


def test_curl_gives_up_before_nagios_ends_it() -> None:
    options = dict(re.findall(r"^([a-z-]+) = (\d+)$", (SHIPPED / "ticket-gateway.curl").read_text(), re.MULTILINE))
    last = int(options["retry-max-time"]) + int(options["retry-delay"]) + int(options["max-time"])
    assert last < 30  # the default of notification_timeout
    assert int(options["retry"]) * int(options["retry-delay"]) >= int(options["retry-max-time"])

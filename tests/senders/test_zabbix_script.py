"""The script of the shipped Zabbix media type, run in Node, before the real gateway.

What Zabbix does around it is in ``zabbix_script.js``: one string with all parameters, macros replaced where they are known.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from gateway.model.json import JsonObject
from tests.crash.harness import free_port, wait_for
from tests.senders.house import TOKEN, House, house

REPOSITORY = Path(__file__).parents[2]
MEDIA_TYPE = REPOSITORY / "deploy" / "zabbix" / "zabbix-media-type-6.0.yaml"
SHIM = Path(__file__).with_name("zabbix_script.js")
NODE = shutil.which("node")

pytestmark = pytest.mark.skipif(
    NODE is None or shutil.which("curl") is None, reason="needs node and curl to run Zabbix' script"
)

PROBLEM = {
    "{EVENT.SOURCE}": "0",
    "{EVENT.VALUE}": "1",
    "{EVENT.UPDATE.STATUS}": "0",
    "{EVENT.ID}": "4711",
    "{EVENT.NSEVERITY}": "4",
    "{EVENT.SEVERITY}": "High",
    "{EVENT.DATE}": "2026.11.21",
    "{EVENT.TIME}": "23:40:39",
    "{TRIGGER.ID}": "18230",
    "{HOST.ID}": "10084",
    "{HOST.HOST}": "db-fra-1",
    "{HOST.NAME}": "Datenbank Köln",
    "{HOST.IP}": "192.0.2.20",
    "{TRIGGER.HOSTGROUP.NAME}": "Databases, Linux servers",
    "{EVENT.NAME}": 'Disk "/var" is 95% full\nand C:\\Temp too \x07',
    "{EVENT.TAGSJSON}": '[{"tag":"scope","value":"capacity"},{"tag":"scope","value":"disk"},{"tag":"empty","value":""}]',
    "{ALERT.SUBJECT}": "subject",
    "{ALERT.MESSAGE}": "message",
    "{ALERT.SENDTO}": "dba",
    "{$ZABBIX.URL}": "https://zabbix.example.org",
    "{$TICKET_GATEWAY.PROXY}": "",
}
UPDATE = {
    **PROBLEM,
    "{EVENT.UPDATE.STATUS}": "1",
    "{EVENT.UPDATE.ACTION}": "acknowledged and commented",
    "{EVENT.UPDATE.MESSAGE}": "on it",
    "{USER.FULLNAME}": "Anna Adams (anna)",
}
RECOVERY = {
    **PROBLEM,
    "{EVENT.VALUE}": "0",
    "{EVENT.RECOVERY.ID}": "4712",
    "{EVENT.RECOVERY.DATE}": "2026.11.21",
    "{EVENT.RECOVERY.TIME}": "23:51:00",
}


@dataclass(frozen=True, slots=True)
class Ran:
    """How a script ended: with the tags that it gives to Zabbix, or with the sentence that Zabbix shows."""

    tags: Mapping[str, str]
    thrown: str


def media_type() -> JsonObject:
    """The media type of the shipped file."""
    found = yaml.safe_load(MEDIA_TYPE.read_text("utf-8"))["zabbix_export"]["media_types"][0]
    assert isinstance(found, dict)
    return found


def value_of(macros: Mapping[str, str]) -> str:
    """The string that Zabbix gives to the script: an unknown macro stays as its own text."""
    parameters = media_type()["parameters"]
    assert isinstance(parameters, list)
    pairs = {str(each["name"]): str(each["value"]) for each in parameters if isinstance(each, dict)}
    return json.dumps({name: macros.get(macro, macro) for name, macro in pairs.items()}, separators=(",", ":"))


def run(value: str) -> Ran:
    """Run the script on this string."""
    assert NODE is not None
    given = json.dumps({"script": media_type()["script"], "value": value})
    done = subprocess.run([NODE, str(SHIM)], input=given, capture_output=True, text=True, check=True, timeout=30)
    ended = json.loads(done.stdout)
    if "thrown" in ended:
        return Ran({}, ended["thrown"])
    return Ran(json.loads(ended["returned"])["tags"], "")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("zabbix")) as found:
        yield found


def send(here: House, macros: Mapping[str, str], *, event: str, token: str = TOKEN, source: str = "zabbix") -> Ran:
    """Run the script for an event and trigger of this number."""
    own = {"{EVENT.ID}": event, "{TRIGGER.ID}": event}
    address = {"{$TICKET_GATEWAY.URL}": here.url(source), "{$TICKET_GATEWAY.TOKEN}": token}
    return run(value_of({**macros, **own, **address}))


def test_zabbix_gets_the_ticket_of_a_problem_as_tags_and_the_same_one_for_every_retry(here: House) -> None:
    first, again = send(here, PROBLEM, event="1001"), send(here, PROBLEM, event="1001")
    number = first.tags["ticket"]
    assert first == again
    assert first.tags == {"ticket": number, "__ticket_url": f"{here.sandbox}/tickets/number/osticket/{number}"}
    subject, entries = here.ticket(number)
    assert subject == '[High] Disk "/var" is 95% full and C:\\Temp too (db-fra-1)'
    assert len(entries) == 1
    assert "Datenbank Köln" in entries[0]


def test_update_and_recovery_go_to_the_ticket_of_the_problem_and_give_no_tags(here: House) -> None:
    number = send(here, PROBLEM, event="1002").tags["ticket"]
    tagged = {"{EVENT.TAGSJSON}": json.dumps([{"tag": "ticket", "value": number}])}
    assert send(here, {**UPDATE, **tagged}, event="1002") == Ran({}, "")
    assert send(here, {**RECOVERY, **tagged}, event="1002") == Ran({}, "")
    wait_for(here.drained, "the gateway to have done all")
    _, entries = here.ticket(number)
    assert len(entries) == 3
    assert "Anna Adams (anna)" in entries[1]
    assert "on it" in entries[1]
    assert "The problem is over" in entries[2]


def test_a_recovery_whose_problem_never_came_is_no_failure(here: House) -> None:
    assert send(here, RECOVERY, event="1003") == Ran({}, "")


def test_parameters_that_zabbix_cut_still_make_a_ticket(here: House) -> None:
    address = {"{$TICKET_GATEWAY.URL}": here.url("zabbix"), "{$TICKET_GATEWAY.TOKEN}": TOKEN}
    own = {"{EVENT.ID}": "1004", "{TRIGGER.ID}": "1004", "{ALERT.MESSAGE}": "x" * 70_000}
    ran = run(value_of({**PROBLEM, **address, **own})[:64_000])
    assert re.fullmatch(r"\d+", ran.tags["ticket"])


def test_a_failure_tells_the_administrator_what_to_mend(here: House) -> None:
    wrong = send(here, PROBLEM, event="1005", token="wrong").thrown
    assert wrong.startswith(f"ticket gateway: HTTP 401 from {here.url('zabbix')}: The credentials of this source ")
    assert "{" not in wrong
    assert send(here, PROBLEM, event="1005", source="zabix").thrown.startswith("ticket gateway: HTTP 40")
    address = {"{$TICKET_GATEWAY.URL}": f"http://127.0.0.1:{free_port()}/in/zabbix", "{$TICKET_GATEWAY.TOKEN}": TOKEN}
    assert "cannot get URL" in run(value_of({**PROBLEM, **address})).thrown


def test_a_global_macro_that_is_not_defined_is_named(here: House) -> None:
    assert "set the global macro {$TICKET_GATEWAY.URL}" in run(value_of(PROBLEM)).thrown
    assert "macro {$TICKET_GATEWAY.TOKEN}" in send(here, PROBLEM, event="1006", token="{$TICKET_GATEWAY.TOKEN}").thrown
    without_proxy = {name: text for name, text in PROBLEM.items() if name != "{$TICKET_GATEWAY.PROXY}"}
    assert send(here, without_proxy, event="1006").tags["ticket"]


def test_an_answer_that_does_not_come_from_the_gateway_fails_with_its_own_words(here: House) -> None:
    address = {"{$TICKET_GATEWAY.URL}": here.sandbox, "{$TICKET_GATEWAY.TOKEN}": TOKEN}
    assert run(value_of({**PROBLEM, **address})).thrown.startswith("ticket gateway: HTTP 405 from ")

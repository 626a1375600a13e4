"""What `check` says of rules that depend on what persons did to a ticket."""

from pathlib import Path

import pytest

from tests.config.samples import GOOD, problems, read

ZAMMAD = GOOD.replace(
    """  osticket:
    kind: osticket
    url: https://support.example.org/api
    auth: {api_key: "${env:OSTICKET_KEY}"}
    requester: {email: monitoring@example.org}
""",
    """  zammad:
    kind: zammad
    url: https://zammad.example.org
    auth: {token: "${env:OSTICKET_KEY}"}
    group: Users
    customer: monitoring@example.org
""",
).replace("helpdesk: osticket", "helpdesk: zammad")


def test_what_needs_a_ticket_to_be_read_is_refused_where_it_cannot_be(tmp_path: Path) -> None:
    text = GOOD + "    incident: {recover: {only_if_untouched: true}, closed_by_hand: new}\n"
    why = "a ticket of osticket cannot be read over its API, so nobody knows what a person did to it"
    assert problems(tmp_path, text) == [
        f"routes.yaml:19:45: routes[0].incident.recover.only_if_untouched: {why}; leave it out, or write `action: append`",
        f"routes.yaml:19:68: routes[0].incident.closed_by_hand: {why}; leave it out",
    ]


def test_where_it_can_be_read_it_is_taken_and_what_says_nothing_about_it_stays_quiet(tmp_path: Path) -> None:
    text = ZAMMAD + "    incident: {recover: {only_if_untouched: true}, closed_by_hand: new}\n"
    policy = read(tmp_path, text).routes[0].incident
    assert (policy.recover.only_if_untouched, policy.closed_by_hand) == (True, "new")
    assert read(tmp_path, GOOD).routes[0].incident.closed_by_hand == "stay_quiet"


def test_only_if_untouched_without_a_close_does_nothing_and_that_is_told(tmp_path: Path) -> None:
    text = ZAMMAD + "    incident: {recover: {action: append, only_if_untouched: true}}\n"
    (note,) = [str(note) for note in read(tmp_path, text).notes if note.level == "warning"]
    assert note.endswith("recover.only_if_untouched: does nothing; `action: append` closes nothing")


def test_a_helpdesk_that_cannot_be_read_is_not_watched(tmp_path: Path) -> None:
    text = GOOD.replace(
        "    kind: osticket\n", "    kind: osticket\n    poll: 5m\n    notify: {secret: '${env:OSTICKET_KEY}'}\n"
    )
    assert problems(tmp_path, text) == [
        f"routes.yaml:{line}: helpdesks.osticket.{key}: tickets of osticket cannot be read over its API, so nothing could be "
        "learned; leave it out"
        for line, key in (("9:11", "poll"), ("10:5", "notify"))
    ]
    watched = ZAMMAD.replace(
        "    group: Users\n", "    group: Users\n    poll: 5m\n    notify: {secret: '${env:OSTICKET_KEY}'}\n"
    )
    assert [note for note in read(tmp_path, watched).notes if "limits.creates" not in note.message] == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (ZAMMAD + "    incident: {closed_by_hand: reopen}\n", True),
        (ZAMMAD + "    incident: {closed_by_hand: reopen, repeat: {append_every: 1h}}\n", False),
        (ZAMMAD.replace("    group:", "    poll: 5m\n    group:") + "    incident: {closed_by_hand: new}\n", False),
        (ZAMMAD + "    incident: {closed_by_hand: stay_quiet}\n", False),
    ],
    ids=["only counted", "appended", "polled", "quiet"],
)
def test_that_a_close_would_not_be_noticed_soon_is_told(tmp_path: Path, text: str, told: bool) -> None:
    found = [str(note) for note in read(tmp_path, text).notes if "repeats are only counted" in str(note)]
    assert len(found) == told
    assert all("`notify` or `poll` of zammad notices it" in note for note in found)

"""Our Message-IDs: who can make one, and what becomes of one on its way through mail programs."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.ids import marker_of, new_id
from gateway.model.message_ids import LEAST_KEY, MessageIds, unsigned_marker

KEY, OLD = b"a key of the tests, long enough", b"the key of the year before"
MARKER = marker_of(cause="r/0", route="mail", helpdesk="osticket", kind="create", ordinal=0)
INCIDENT = new_id()
OURS = MessageIds([KEY])


def message_id(
    ids: MessageIds = OURS, marker: str = MARKER, incident: str = INCIDENT, domain: str = "a.example"
) -> str:
    return f"{ids.name(marker, incident)}@{domain}"


def test_a_message_id_tells_its_incident_and_is_the_same_every_time() -> None:
    assert OURS.incident_of(message_id()) == INCIDENT
    assert message_id() == message_id()
    assert MARKER in message_id()


def test_it_fits_where_osticket_keeps_it_and_has_no_upper_case() -> None:
    left = OURS.name(MARKER, INCIDENT)
    assert len(left) < 100
    assert left == left.lower()
    assert set(left) <= set(string.ascii_lowercase + string.digits + "-")


def test_the_domain_and_the_letter_case_make_no_difference() -> None:
    assert OURS.incident_of(message_id(domain="elsewhere.example")) == INCIDENT
    assert OURS.incident_of(message_id().upper()) == INCIDENT


def test_another_key_signs_nothing_that_we_accept() -> None:
    assert OURS.incident_of(message_id(MessageIds([OLD]))) == ""


def test_after_a_rotation_the_new_key_signs_and_the_old_one_is_still_accepted() -> None:
    rotated = MessageIds([KEY, OLD])
    assert rotated.incident_of(message_id(MessageIds([OLD]))) == INCIDENT
    assert message_id(rotated) == message_id(OURS)


def test_without_a_key_nothing_is_ours() -> None:
    assert MessageIds().name(MARKER, INCIDENT) == ""
    assert MessageIds().incident_of(message_id()) == ""


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="at least"):
        MessageIds([b"x" * (LEAST_KEY - 1)])


def test_keys_are_never_printed() -> None:
    assert KEY.decode() not in repr(OURS)


@given(st.integers(0, 200), st.characters())
def test_no_single_character_can_be_changed(place: int, character: str) -> None:
    whole = message_id()
    left = whole.partition("@")[0]
    place %= len(left)
    changed = whole[:place] + character + whole[place + 1 :]
    if changed.lower() != whole:
        assert OURS.incident_of(changed) == ""


@given(st.integers(0, 90), st.sampled_from(["", "+", "+tag", " ", "\r\n ", "=", "-", "@x", "<", ">", ".invalid"]))
def test_nothing_can_be_cut_out_or_put_in(place: int, piece: str) -> None:
    left = OURS.name(MARKER, INCIDENT)
    place %= len(left)
    assert OURS.incident_of(f"{left[:place]}@a.example") == ""
    assert OURS.incident_of(f"{left[place + 1 :]}@a.example") == ""
    if piece:
        assert OURS.incident_of(f"{left[:place]}{piece}{left[place:]}@a.example") == ""
        assert OURS.incident_of(f"{left}{piece}@a.example") == ""


@given(st.text(max_size=500) | st.from_regex(r"tg-[0-9a-f]{32}-[0-9a-f]{32}-[0-9a-f]{24}@[a-z.]{1,20}", fullmatch=True))
def test_whatever_is_asked_about_is_not_ours_and_raises_nothing(text: str) -> None:
    assert OURS.incident_of(text) == ""
    unsigned_marker(text)


@given(st.uuids())
def test_the_signature_of_one_incident_does_not_fit_another(other: object) -> None:
    stolen = OURS.name(MARKER, INCIDENT).rpartition("-")[2]
    forged = OURS.name(MARKER, str(other)).rpartition("-")[0]
    if str(other) != INCIDENT:
        assert OURS.incident_of(f"{forged}-{stolen}@a.example") == ""


def test_the_message_ids_of_earlier_versions_are_told_apart() -> None:
    assert unsigned_marker(f"tg-{MARKER}@a.example") == MARKER
    assert unsigned_marker(message_id()) == ""
    assert OURS.incident_of(f"tg-{MARKER}@a.example") == ""

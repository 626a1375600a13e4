"""The words of the ticket that tells people of the brake."""

from dataclasses import replace
from pathlib import Path

from gateway.config.shipped import shipped_templates
from gateway.model.brake import BrakeNews
from gateway.rendering.brake import FOLDER, brake_words

NEWS = BrakeNews("zammad", "200/h", 1_800_000_000.0, 17, ("disk full on db-1", "line\nbreak"))


def shipped() -> dict[str, str]:
    folder: Path = shipped_templates() / FOLDER
    return {file.name: file.read_text() for file in folder.iterdir()}


def test_the_shipped_words_say_how_many_wait_which_and_what_to_do() -> None:
    title, text = brake_words(shipped(), NEWS)
    assert title == "Too many tickets: 17 wait (zammad, more than 200/h)"
    assert "- disk full on db-1" in text
    assert "- line break" in text
    assert "ticket-gateway helpdesk release zammad" in text
    title, text = brake_words(shipped(), replace(NEWS, waiting=0, titles=(), over=True))
    assert title == "The brake is off again (zammad, more than 200/h)"
    assert "None waits any more" in text


def test_a_template_that_fails_or_is_missing_is_replaced_by_plain_words() -> None:
    for folder in ({}, {"title.j2": "{{ nobody }}", "body.txt.j2": "{% if %}"}):
        title, text = brake_words(folder, NEWS)
        assert title == "Too many tickets: 17 wait for zammad"
        assert "disk full on db-1" in text
        assert "ticket-gateway helpdesk release zammad" in text
        assert brake_words(folder, replace(NEWS, over=True))[1] == "No ticket waits any more."

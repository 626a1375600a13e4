import io
import json
import logging
from collections.abc import Iterator
from typing import Literal

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.values import Secret
from gateway.model.reasons import Reason
from gateway.observability.logs import Redactor, configure_logging, log_transition, visible


@pytest.fixture(autouse=True)
def _plain_again() -> Iterator[None]:
    yield
    structlog.reset_defaults()
    root = logging.getLogger()
    for handler in list(root.handlers):
        if type(handler).__module__.startswith("gateway."):
            root.removeHandler(handler)


class FullDisk(io.BytesIO):
    def write(self, _data: object) -> int:
        raise OSError(28, "No space left on device")


def test_a_transition_is_one_json_object_with_its_reason_and_ids() -> None:
    stream = io.BytesIO()
    configure_logging("json", stream=stream)
    log_transition("opened", reason=Reason.OPENED, receipt="r-1", event=0, incident="i-1", source="shop", tries=2)
    line = json.loads(stream.getvalue())
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info", "event": "opened", "reason": "opened", "receipt": "r-1", "source": "shop", "incident": "i-1",
        "tries": 2, "event_index": 0,
    }  # fmt: skip


def test_every_loaded_secret_is_masked_wherever_and_however_it_turns_up() -> None:
    stream = io.BytesIO()
    configure_logging("json", secrets=[Secret("geheim/&tökén")], stream=stream)
    log = structlog.get_logger()
    log.info(
        "call to https://x/?k=geheim/&tökén", form="k=geheim%2F%26t%C3%B6k%C3%A9n", nested={"a": ["geheim/&tökén"]}
    )
    log.info("typed", secret=Secret("another one"), raw="geheim/&tökén".encode())
    message = "refused geheim/&tökén"
    try:
        int(message)
    except ValueError:
        log.exception("failed")
    text = stream.getvalue().decode()
    assert "geheim" not in text
    assert "another one" not in text
    assert text.count("<secret>") == 6
    assert len([json.loads(line) for line in text.splitlines()]) == 3


@given(st.text(), st.text(max_size=20))
def test_no_text_moves_the_cursor_or_ends_the_line(value: str, event: str) -> None:
    forms: tuple[Literal["json"], Literal["text"]] = ("json", "text")
    for form in forms:
        stream = io.BytesIO()
        configure_logging(form, stream=stream)
        structlog.get_logger().info(event, value=value)
        line = stream.getvalue().decode()
        assert line.endswith("\n")
        assert visible(line[:-1]) == line[:-1]
        if form == "json":
            assert json.loads(line)["value"] == value


def test_hazards_are_shown_as_escapes_in_readable_lines() -> None:
    stream = io.BytesIO()
    configure_logging("text", stream=stream)
    structlog.get_logger().warning("odd", subject="a\x1b[2Jb\u202ec\nd\U000e0041", plain="db-1")
    line = stream.getvalue().decode()
    assert "plain=db-1" in line
    assert "warning odd" in line
    assert not set(line[:-1]) & set("\x1b\u202e\n\U000e0041")


def test_levels_below_the_least_are_not_written() -> None:
    stream = io.BytesIO()
    configure_logging("json", "warning", stream=stream)
    structlog.get_logger().info("quiet")
    structlog.get_logger().error("loud")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["loud"]


def test_warnings_of_libraries_come_into_the_same_log() -> None:
    stream = io.BytesIO()
    configure_logging("json", secrets=["library-secret"], stream=stream)
    logging.getLogger("some.library").warning("bad %s", "library-secret")
    line = json.loads(stream.getvalue())
    assert (line["event"], line["level"], line["logger"]) == ("bad <secret>", "warning", "some.library")


def test_a_log_that_cannot_be_written_stops_nothing() -> None:
    configure_logging("json", stream=FullDisk())
    structlog.get_logger().info("nowhere to go")


def test_values_that_json_does_not_have_are_written_as_text() -> None:
    stream = io.BytesIO()
    configure_logging("json", stream=stream)
    structlog.get_logger().info("odd", huge=10**40, surrogate="\ud800", kind=Reason.OPENED, nothing=None)
    line = json.loads(stream.getvalue())
    assert (line["huge"], line["kind"], line["nothing"]) == (10**40, "opened", None)


def test_very_short_secrets_do_not_turn_the_log_into_masks() -> None:
    assert Redactor(["a"]).text("a banana") == "a banana"

"""Bodies that nobody wrote in good faith: read or kept raw, never an exception, never for long."""

import contextlib
import json
import time
from collections.abc import Callable

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.model.event import Kind
from gateway.model.receipt import NewReceipt, Parsed
from gateway.sources.filenames import safe_filename
from gateway.sources.forms import read_form
from gateway.sources.jsontext import read_json, repair_json
from gateway.sources.protocol import Malformed
from gateway.sources.registry import SOURCE_KINDS
from gateway.sources.text import clean, decode, key, line
from tests.sources.support import CAPTURES, FORM, JSON, parsed, receipt_of

CAPTURED = [receipt_of(path) for path in sorted(CAPTURES.glob("*/*.json"))]
TYPES = (
    st.sampled_from(
        [
            "",
            JSON,
            FORM,
            "multipart/form-data; boundary=b",
            "multipart/form-data",
            "text/plain",
            "application/json; charset=x",
        ]
    )
    | st.text(max_size=40)
    | st.text(max_size=40).map("multipart/form-data; {}".format)
)
KINDS = st.sampled_from(sorted(SOURCE_KINDS))
QUICK = settings(max_examples=100, deadline=2000, suppress_health_check=[HealthCheck.too_slow])


def check(result: Parsed) -> None:
    """What every event must be, whatever it was made from."""
    assert result.events
    for event in result.events:
        texts = [
            event.title,
            event.text,
            event.html,
            event.host,
            event.service,
            event.origin_key,
            event.state,
            *result.warnings,
        ]
        texts += [part for label in event.labels.items() for part in label]
        for text in texts:
            assert not set(text) & {"\x00", "\x1b", "\r"}
            text.encode()  # no lone surrogate
        assert event.title
        assert event.origin_key
        assert "\n" not in event.title + event.host + event.service
        for attachment in event.attachments:
            assert 0 < len(attachment.filename.encode()) <= 255


@QUICK
@given(KINDS, st.binary(max_size=400), TYPES)
def test_any_octets_make_an_event(kind: str, body: bytes, content_type: str) -> None:
    check(parsed(kind, body, content_type))


@QUICK
@given(KINDS, st.data())
def test_a_damaged_capture_makes_an_event(kind: str, data: st.DataObject) -> None:
    receipt = data.draw(st.sampled_from(CAPTURED))
    body = bytearray(receipt.body)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body)))
        body[at : at + data.draw(st.integers(0, 20))] = data.draw(
            st.binary(max_size=6)
            | st.sampled_from([b'"', b"\\", b"\\u", b"\\ud800", b",", b"}", b"{", b"[", b"\n", b"%", b"&"])
        )
    check(parsed(kind, bytes(body), receipt.content_type))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=5),
    max_leaves=20,
)
FIELDS = st.sampled_from(
    ["title", "kind", "severity", "occurred_at", "labels", "links", "attachments", "sender", "event_id", "event_tags",
     "HOSTNAME", "NOTIFICATIONTYPE", "TIMET", "HOSTNOTESURL", "event_date", "event_time", "zabbix_url", "host"]
)  # fmt: skip


@QUICK
@given(KINDS, st.dictionaries(FIELDS, JSON_VALUES, max_size=8))
def test_any_json_in_the_known_fields_makes_an_event(kind: str, value: dict[str, object]) -> None:
    check(parsed(kind, json.dumps({"event_id": "1", "HOSTNAME": "a", "NOTIFICATIONTYPE": "PROBLEM"} | value).encode()))


@QUICK
@given(KINDS, st.binary(max_size=300), TYPES)
def test_inspect_raises_nothing_but_malformed(kind: str, body: bytes, content_type: str) -> None:
    source = SOURCE_KINDS[kind]
    with contextlib.suppress(Malformed):
        source.inspect(NewReceipt("r", "s", 0.0, body, content_type), source.settings(kind=kind))


@given(JSON_VALUES.filter(lambda value: isinstance(value, dict)))
@example({"": 2**64 - 1})
@example({"": -(2**63)})
@settings(max_examples=100, deadline=2000)
def test_repair_reads_what_is_not_broken_as_it_is(value: dict[str, object]) -> None:
    try:
        body = orjson.dumps(value)
        strict = read_json(body)
    except (orjson.JSONEncodeError, Malformed):
        return  # lone surrogates, integers over 64 bits, floats beyond them
    repaired, warnings = repair_json(body)
    assert (repaired, warnings) == (strict, ())


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 200_000, b'{"a":' * 100_000, b'{"a":' + b"[" * 65 + b"]" * 65 + b"}", b'"' * 300_000, b'{"a":"' + b'","' * 100_000,
        b'{"a":"' + b'" }' * 100_000, b'{"a":"' + b"\\" * 300_001, b'{"a":"' + b'"    ' * 60_000, b'{"a":"' + b"\n" * 300_000,
        b"{" + b"," * 300_000, b'{"a":' + b"9" * 1_000_000 + b"}", b'{"a":"' + b'\\"},' * 75_000, b'{"' + b'":"' * 100_000,
        b'{"a":"x"' + b" " * 500_000 + b"x}", b'{"a":"' + b'"}\n' * 100_000 + b"x",
    ],
    ids=range(15),
)  # fmt: skip
@pytest.mark.parametrize("kind", sorted(SOURCE_KINDS))
def test_bombs_of_json_end_soon(kind: str, body: bytes) -> None:
    started = time.process_time()
    check(parsed(kind, body, JSON))
    assert time.process_time() - started < 3


MULTIPART = "multipart/form-data; boundary=b"


def part(name: str, value: str = "v", more: str = "") -> str:
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{value}\r\n'


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"a=1&" * 200_000, FORM),
        ("".join(part(f"f{number}") for number in range(201)).encode() + b"--b--\r\n", MULTIPART),
        ("".join(part("f", "v", f'; filename="{number}"') for number in range(51)).encode() + b"--b--\r\n", MULTIPART),
        (b'--b\r\nContent-Disposition: form-data; name="a"\r\n' + b"X: y\r\n" * 10_000 + b"\r\nv\r\n--b--\r\n", MULTIPART),
        (b"--b\r\nX: " + b"y" * 100_000 + b"\r\n\r\nv\r\n--b--\r\n", MULTIPART),
        (b"x" * 1_000_000 + b"--b--\r\n", MULTIPART),
        (part("a").encode(), MULTIPART),
        (b"anything", "multipart/form-data"),
        (b"anything", "multipart/form-data; boundary=" + "b" * 500),
        (part("").encode() + b"--b--\r\n", MULTIPART),
    ],
    ids=range(10),
)  # fmt: skip
def test_floods_of_parts_and_fields_are_refused_soon(body: bytes, content_type: str) -> None:
    started = time.process_time()
    with pytest.raises(Malformed):
        read_form(body, content_type)
    assert time.process_time() - started < 2


def test_duplicate_names_one_rule_the_last_counts() -> None:
    assert read_json(b'{"a":1,"a":2}') == {"a": 2}
    assert repair_json(b'{"a":1,"a":2,}')[0] == {"a": 2}
    assert read_form(b"a=1&a=2", FORM).fields == {"a": "2"}


@pytest.mark.parametrize(
    ("encode", "mark"),
    [("utf-8-sig", b""), ("utf-16", b""), ("utf-16-le", b""), ("utf-16-be", b""), ("utf-32", b"")],
)
def test_other_unicode_encodings_are_recognised(encode: str, mark: bytes) -> None:
    assert read_json(mark + '{"a":"Köln"}'.encode(encode)) == {"a": "Köln"}


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b'{"a":\n  "C:\\Temp"}', "line 2, column 6"),
        (b'{"a":"\\ud800"}', "line 1, column 7"),
        (b'{"a":\n"\xff"}', "line 2, column 2"),
        (b'{"a":NaN}', "line 1, column 6"),
        (b"", "line 1, column 1"),
    ],
)
def test_the_first_fault_is_named_by_line_and_column(body: bytes, place: str) -> None:
    with pytest.raises(Malformed) as fault:
        read_json(body)
    assert fault.value.place == place


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"p":"C:\\"}', {"p": "C:\\"}), (b'{"p":"C:\\","q":"1"}', {"p": "C:\\", "q": "1"}),
        (b'{"p":"a","q":,}', {"p": "a", "q": None}), (b'{"n":$X$}', {"n": "$X$"}), (b'{"n":007}', {"n": "007"}),
        (b'{"s":"\\ud83d\\ude00 \\ud83d"}', {"s": "\U0001f600 \ufffd"}), (b'{"l":["a "b" c","d",],}', {"l": ['a "b" c', "d"]}),
        (b'{"s":"say \\"x\\", now","p":"C:\\Q"}', {"s": 'say "x", now', "p": "C:\\Q"}),
        (b'{"s":"{\\"a\\":{\\"b\\":\\"c\\"}}","p":"C:\\Q"}', {"s": '{"a":{"b":"c"}}', "p": "C:\\Q"}),
        (b'{"s":"K\xf6ln"}', {"s": "Köln"}),
        (b'{"n":123456789012345678901234}', {"n": "123456789012345678901234"}),
    ],
)  # fmt: skip
def test_what_is_broken_without_doubt_is_repaired(body: bytes, value: object) -> None:
    repaired, warnings = repair_json(body)
    assert repaired == value
    assert warnings


def test_a_control_character_is_named_in_the_warning_by_its_place() -> None:
    assert "line 2, column 1" in " ".join(repair_json(b'{"a":"\n\x01"}')[1])


@pytest.mark.parametrize(
    ("given_name", "safe"),
    [
        ("../../etc/passwd", "passwd"), ("C:\\x\\y.txt", "y.txt"), ("a:ads", "a_ads"), ("CON", "_CON"),
        ("com1.txt", "_com1.txt"),
        ("a\x00b\r\nc.txt", "abc.txt"), ("\u202egpj.exe", "gpj.exe"), ("...", "attachment"),
        ("", "attachment"), ("/", "attachment"),
        ("Cafe\u0301.pdf", "Caf\u00e9.pdf"), ("x. ", "x"), ("\ud800.txt", ".txt"),
    ],
)  # fmt: skip
def test_names_of_files_are_made_safe(given_name: str, safe: str) -> None:
    assert safe_filename(given_name) == safe


@given(st.text(max_size=400) | st.text(max_size=10).map(lambda text: text * 100 + ".tar.gz"))
def test_a_safe_name_is_short_plain_and_stays_as_it_is(name: str) -> None:
    safe = safe_filename(name)
    assert 0 < len(safe.encode()) <= 255
    assert not set(safe) & set('/\\\x00\r\n:"')
    assert safe_filename(safe) == safe


def test_a_long_name_keeps_its_extension() -> None:
    assert safe_filename("ü" * 5000 + ".pdf").endswith("ü.pdf")


@given(st.binary(max_size=200))
def test_decoding_never_fails_and_leaves_utf_8_alone(data: bytes) -> None:
    text = decode(data)
    text.encode()
    try:
        assert text == data.decode()
    except UnicodeDecodeError:
        assert len(text) <= len(data)


@pytest.mark.parametrize("function", [clean, line, key])
def test_cleaning_is_done_once(function: Callable[[str], str]) -> None:
    dirty = "a\x1b[31m\u0000b\ud800\r\nc " * 300
    assert function(function(dirty)) == function(dirty)


def test_long_keys_that_differ_at_their_end_stay_different() -> None:
    assert key("x" * 600 + "1") != key("x" * 600 + "2")


def test_raw_events_of_equal_bodies_are_one_problem() -> None:
    one, two, other = (parsed("zabbix", body).events[0] for body in (b"{x", b"{x", b"{y"))
    assert one.kind is Kind.RAW
    assert one.origin_key == two.origin_key != other.origin_key

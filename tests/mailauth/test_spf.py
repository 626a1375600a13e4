"""SPF, with the answers of DNS given one by one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mailauth.question import Answer, Question
from gateway.mailauth.spf_check import MOST_QUESTIONS, RESULTS, SpfResult, Wanted, check_spf

CLIENT = "192.0.2.7"


def evaluate(
    record: str | None,
    mail_from: str = "ann@example.org",
    helo: str = "mx.example.org",
    client: str = CLIENT,
    **more: Answer,
) -> tuple[SpfResult, list[Question]]:
    """The result, and what it asked. ``more``: answers by ``name_with_underscores__TYPE``."""
    given_: dict[Question, Answer] = {}
    for name, answer in more.items():
        host, _, kind = name.rpartition("__")
        given_[host.replace("_", "."), kind] = answer  # type: ignore[index]  # the kind is one of the five
    if record is not None:
        given_["example.org", "TXT"] = Answer(texts=(b"unrelated", record.encode()))
    known: dict[Question, Answer] = {}
    asked: list[Question] = []
    while True:
        step = check_spf(client, mail_from, helo, known)
        if isinstance(step, SpfResult):
            return step, asked
        asked.append(step.question)
        assert len(asked) <= MOST_QUESTIONS
        known[step.question] = given_.get(step.question, Answer())


@pytest.mark.parametrize(
    ("record", "result"),
    [
        ("v=spf1 ip4:192.0.2.0/24 -all", "pass"),
        ("v=spf1 ip4:198.51.100.0/24 -all", "fail"),
        ("v=spf1 ip4:198.51.100.0/24 ~all", "softfail"),
        ("v=spf1 ?all", "neutral"),
        ("v=spf1", "neutral"),
        ("v=spf1 ip4:nonsense -all", "permerror"),
        ("v=spf1 include:nowhere.example -all", "permerror"),
        (None, "none"),
    ],
)
def test_the_words_of_the_standard(record: str | None, result: str) -> None:
    assert evaluate(record)[0].result == result


def test_addresses_mail_exchangers_and_includes_are_asked_for() -> None:
    found, asked = evaluate(
        "v=spf1 mx include:spf.example.net -all",
        example_org__MX=Answer(exchanges=((10, "mx.example.org"),)),
        mx_example_org__A=Answer(names=("198.51.100.1",)),
        spf_example_net__TXT=Answer(texts=(b"v=spf1 a:out.example.net -all",)),
        out_example_net__A=Answer(names=(CLIENT,)),
    )
    assert found.result == "pass"
    assert asked == [
        ("example.org", "TXT"),
        ("example.org", "MX"),
        ("mx.example.org", "A"),
        ("spf.example.net", "TXT"),
        ("out.example.net", "A"),
    ]


def test_a_client_with_ipv6_is_found() -> None:
    assert evaluate("v=spf1 ip6:2001:db8::/32 -all", client="2001:db8::7")[0].result == "pass"


def test_the_null_sender_is_judged_by_its_helo() -> None:
    found, asked = evaluate(None, mail_from="", mx_example_org__TXT=Answer(texts=(b"v=spf1 ip4:192.0.2.7 -all",)))
    assert found.result == "pass"
    assert asked == [("mx.example.org", "TXT")]


def test_dns_that_does_not_answer_is_a_temporary_error() -> None:
    found = check_spf(CLIENT, "ann@example.org", "mx", {("example.org", "TXT"): Answer(failed="Timeout")})
    assert isinstance(found, SpfResult)
    assert found.result == "temperror"


def test_a_record_that_refers_to_others_without_end_is_a_permanent_error() -> None:
    known: dict[Question, Answer] = {}
    step = check_spf(CLIENT, "ann@d0.example", "mx", known)
    while isinstance(step, Wanted):
        number = int(step.question[0][1:].partition(".")[0])
        known[step.question] = Answer(texts=(f"v=spf1 include:d{number + 1}.example -all".encode(),))
        step = check_spf(CLIENT, "ann@d0.example", "mx", known)
    assert step.result == "permerror"
    assert len(known) <= 12


def test_many_names_that_are_not_there_are_a_permanent_error() -> None:
    found, asked = evaluate("v=spf1 " + " ".join(f"exists:e{number}.example" for number in range(9)) + " -all")
    assert found.result == "permerror"
    assert len(asked) <= 5


@given(st.text(max_size=200), st.text(max_size=60), st.text(max_size=60))
def test_nothing_in_a_record_or_a_name_raises(record: str, mail_from: str, helo: str) -> None:
    known: dict[Question, Answer] = {}
    for _ in range(MOST_QUESTIONS):
        step = check_spf(CLIENT, mail_from, helo, known)
        if isinstance(step, SpfResult):
            assert step.result in RESULTS
            return
        assert isinstance(step, Wanted)
        assert step.question not in known
        known[step.question] = Answer(texts=(b"v=spf1 " + record.encode("utf-8", "replace"),), names=("198.51.100.9",))

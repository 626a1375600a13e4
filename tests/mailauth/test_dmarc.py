"""DMARC: records, the walk to the organisation's domain, alignment."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mailauth.dmarc import Policy, evaluate, governing, organisation, parse_policy, walk, walked
from gateway.mailauth.question import Answer, RecordType
from gateway.sources.mail.trust import Finding

pytestmark = pytest.mark.anyio


class Zone:
    """DMARC records by domain; ``None`` is a name that DNS does not answer for."""

    def __init__(self, **records: str | None) -> None:
        self.records = {name.replace("_", "."): record for name, record in records.items()}
        self.asked: list[str] = []

    async def lookup(self, name: str, kind: RecordType) -> Answer:
        assert kind == "TXT"
        assert name.startswith("_dmarc.")
        domain = name.removeprefix("_dmarc.")
        self.asked.append(domain)
        record = self.records.get(domain, "")
        if record is None:
            return Answer(failed="Timeout")
        return Answer(texts=(record.encode(),) if record else ())


async def result(
    zone: Zone, *findings: Finding, author: str = "example.org", dkim: bool = True, spf: bool = True
) -> str:
    _, found = await evaluate(author, findings, zone.lookup, knows_dkim=dkim, knows_spf=spf)
    return found.result


DKIM, SPF = Finding("dkim", "pass", "example.org"), Finding("spf", "pass", "example.org")
REJECT = "v=DMARC1; p=reject"


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("v=DMARC1; p=reject", Policy("d", "reject")),
        ("v=DMARC1;p=none;adkim=s;aspf=s;psd=n", Policy("d", "none", True, True, "n")),
        ("v=DMARC1", Policy("d")),
        ("v=DMARC1; p=maybe; rua=mailto:x", Policy("d")),
        ("v = DMARC1 ; P = Reject", Policy("d", "reject")),
        ("v=dmarc1; p=reject", None),
        ("p=reject; v=DMARC1", None),
        ("hello", None),
    ],
)
def test_records_are_read(text: str, policy: Policy | None) -> None:
    assert parse_policy("d", [b"google-site=1", text.encode()]) == policy


def test_two_records_are_none() -> None:
    assert parse_policy("d", [REJECT.encode(), b"v=DMARC1; p=none"]) is None


def test_the_walk_is_bounded() -> None:
    assert walked("a.b.example.org") == ["a.b.example.org", "b.example.org", "example.org", "org"]
    long = ".".join(f"l{number}" for number in range(60))
    assert len(walked(long)) == 8
    assert walked(long)[1].count(".") == 6


async def test_the_organisation_is_where_the_walk_finds_its_last_record() -> None:
    zone = Zone(example_org=REJECT, sub_example_org="v=DMARC1; p=none")
    found = await walk("a.sub.example.org", zone.lookup)
    assert organisation("a.sub.example.org", found) == "example.org"
    policy = governing("a.sub.example.org", found)
    assert policy is not None
    assert policy.domain == "example.org"


async def test_a_public_suffix_is_no_organisation() -> None:
    zone = Zone(co_example="v=DMARC1; p=reject; psd=y")
    found = await walk("shop.co.example", zone.lookup)
    assert organisation("shop.co.example", found) == "shop.co.example"
    assert await result(zone, Finding("dkim", "pass", "evil.co.example"), author="shop.co.example") == "fail"
    assert await result(zone, Finding("dkim", "pass", "shop.co.example"), author="shop.co.example") == "pass"


async def test_an_organisation_may_end_the_walk_itself() -> None:
    zone = Zone(team_example_org="v=DMARC1; p=reject; psd=n", example_org=REJECT)
    assert organisation("a.team.example.org", await walk("a.team.example.org", zone.lookup)) == "team.example.org"


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ([DKIM], "pass"),
        ([SPF], "pass"),
        ([Finding("dkim", "pass", "mail.example.org")], "pass"),
        ([Finding("spf", "pass", "bounce.example.org")], "pass"),
        ([Finding("dkim", "pass", "attacker.example"), Finding("spf", "pass", "attacker.example")], "fail"),
        ([Finding("dkim", "pass", "notexample.org")], "fail"),
        ([Finding("dkim", "pass", "org")], "fail"),
        ([Finding("dkim", "fail", "example.org"), Finding("spf", "softfail", "example.org")], "fail"),
        ([Finding("dkim", "temperror", "example.org"), Finding("spf", "fail", "example.org")], "temperror"),
        ([Finding("dkim", "temperror", "attacker.example"), Finding("spf", "fail", "example.org")], "fail"),
        ([], "fail"),
    ],
)
async def test_alignment_decides(findings: list[Finding], expected: str) -> None:
    assert await result(Zone(example_org=REJECT), *findings) == expected


async def test_strict_alignment_wants_the_very_domain() -> None:
    zone = Zone(example_org="v=DMARC1; p=reject; adkim=s; aspf=s")
    assert await result(zone, Finding("dkim", "pass", "mail.example.org")) == "fail"
    assert await result(zone, Finding("spf", "pass", "mail.example.org")) == "fail"
    assert await result(zone, DKIM) == "pass"


async def test_without_a_policy_nothing_is_said() -> None:
    assert await result(Zone(), DKIM) == "none"
    assert await result(Zone()) == "none"


async def test_dns_that_does_not_answer_is_a_temporary_error() -> None:
    assert await result(Zone(example_org=None), DKIM) == "temperror"


async def test_what_nobody_looked_at_proves_nothing() -> None:
    zone = Zone(example_org=REJECT)
    assert await result(zone, Finding("dkim", "none"), spf=False) == "none"
    assert await result(zone, Finding("spf", "fail", "example.org"), dkim=False) == "none"
    assert await result(zone, DKIM, spf=False) == "pass"


async def test_the_names_of_strangers_cost_no_question() -> None:
    zone = Zone(example_org=REJECT)
    await result(zone, *(Finding("dkim", "pass", f"d{number}.attacker.example") for number in range(10)))
    assert zone.asked == ["example.org", "org"]


@given(st.lists(st.binary(max_size=80), max_size=4))
def test_no_record_raises(texts: list[bytes]) -> None:
    parse_policy("d", [*texts, *(b"v=DMARC1;" + text for text in texts)])

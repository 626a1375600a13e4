import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.receive.smtp.recipients import Owner, Recipients, parse_pattern

OURS = Recipients(
    {
        "desk": ["support@own.example", "alerts+*@own.example", "postmaster@own.example"],
        "db": ["alerts+db@own.example"],
        "all": ["*@catch.example"],
        "named": ["Help.Desk@Bücher.example"],
    },
    hostname="own.example",
)


@pytest.mark.parametrize(
    ("address", "owner"),
    [
        ("support@own.example", Owner("desk")),
        ("SUPPORT@Own.EXAMPLE", Owner("desk")),
        ("support@own.example.", Owner("desk")),
        ('"support"@own.example', Owner("desk")),
        ("alerts+Web.01@own.example", Owner("desk", "Web.01")),
        ("alerts+a+b@own.example", Owner("desk", "a+b")),
        ("alerts+@own.example", Owner("desk")),
        ("anybody@catch.example", Owner("all")),
        ("anybody+x@catch.example", Owner("all", "x")),
        ("Postmaster", Owner("desk")),
        ("help.desk@xn--bcher-kva.example", Owner("named")),
        ("help.desk@BÜCHER.example", Owner("named")),
    ],
)
def test_an_address_of_ours_has_its_owner(address: str, owner: Owner) -> None:
    assert OURS.find(address) == owner


def test_the_most_exact_pattern_wins() -> None:
    assert OURS.find("alerts+db@own.example") == Owner("db", "db")


@pytest.mark.parametrize(
    "address",
    [
        "", "support", "alerts@own.example", "support+x@own.example", "v@elsewhere.example", "v%elsewhere@own.example",
        "@own.example:v@elsewhere.example", '"v@elsewhere.example"@own.example', "support@own.example.attacker.example",
        "v@elsewhere@catch.example", "v%elsewhere@catch.example", "elsewhere!v@catch.example", '"v@x"@catch.example',
        "@catch.example", "support@", "support@[127.0.0.1]", "a" * 400 + "@catch.example", "support@own.example\0",
    ],
)  # fmt: skip
def test_nothing_else_is_ours(address: str) -> None:
    assert OURS.find(address) is None


@given(st.text(max_size=400))
def test_any_text_may_be_asked_for(address: str) -> None:
    found = OURS.find(address)
    assert found is None or address.casefold().rstrip(".").endswith(
        ("own.example", "catch.example", "b\u00fccher.example", "xn--bcher-kva.example", "postmaster")
    )


@pytest.mark.parametrize(
    "text", ["", "support", "@own.example", "*", "a*@own.example", "*+*@own.example", "a@*.example", "a b@own.example",
             "a%b@own.example", "a@b@own.example", "+*@own.example"],
)  # fmt: skip
def test_a_pattern_that_means_nothing_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="is no recipient; write"):
        parse_pattern(text)


def test_two_sources_cannot_have_one_recipient() -> None:
    with pytest.raises(ValueError, match="belongs to two sources, 'a' and 'b'"):
        Recipients({"a": ["Support@own.example"], "b": ["support@OWN.example"]})

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.receive.networks import client_address, parse_address, parse_networks, within

PROXIES = parse_networks(["127.0.0.1", "10.0.0.0/8", "::1"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.1", ["127.0.0.1"], "203.0.113.1"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["203.0.113.1"], "203.0.113.1"),
        ("127.0.0.1", ["10.9.9.9, 203.0.113.1, 10.0.0.7"], "203.0.113.1"),
        ("127.0.0.1", ["10.9.9.9", "203.0.113.1"], "203.0.113.1"),
        ("127.0.0.1", ["10.0.0.7, 10.0.0.8"], "10.0.0.7"),
        ("127.0.0.1", ["203.0.113.1, nonsense, 10.0.0.7"], "10.0.0.7"),
        ("127.0.0.1", ["[2001:db8::1]:443"], "2001:db8::1"),
        ("::ffff:127.0.0.1", ["203.0.113.1:4711"], "203.0.113.1"),
        ("", ["203.0.113.1"], "203.0.113.1"),
    ],
)
def test_the_client_is_the_nearest_hop_that_is_no_trusted_proxy(peer: str, forwarded: list[str], client: str) -> None:
    assert client_address(peer, [value.encode() for value in forwarded], PROXIES) == client


def test_without_trusted_proxies_nothing_that_is_forwarded_counts() -> None:
    assert client_address("203.0.113.1", [b"10.0.0.1"], ()) == "203.0.113.1"
    assert client_address("", [b"10.0.0.1"], ()) == ""


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_any_forwarded_header_gives_some_address(forwarded: list[bytes]) -> None:
    assert parse_address(client_address("127.0.0.1", forwarded, PROXIES)) is not None


def test_networks_know_both_families() -> None:
    networks = parse_networks(["192.0.2.7/24", "2001:db8::/32"])
    for inside in ("192.0.2.200", "2001:db8::1", "::ffff:192.0.2.1"):
        address = parse_address(inside)
        assert address is not None
        assert within(address, networks)
    outside = parse_address("fe80::1%eth0")
    assert outside is not None
    assert not within(outside, networks)
    assert parse_address("example.org") is None

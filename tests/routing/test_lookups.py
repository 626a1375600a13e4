"""Which row of a table an event gets."""

import ipaddress
from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from gateway.routing.lookups import Lookup, Table, Way, table_of
from tests.routing.subjects import subject


def table(keys: Sequence[str], way: Way = "exact", *, ignore_case: bool = False) -> Table:
    made, faults = table_of(
        "hosts.csv",
        ("host", "site"),
        [(line, (key, f"site of {key}")) for line, key in enumerate(keys, 2)],
        key="host",
        way=way,
        ignore_case=ignore_case,
    )
    assert not faults
    return made


def found(rows: Table, host: str, by: str = "host", labels: Mapping[str, str] | None = None) -> object:
    return Lookup("hosts", by, rows).value(subject(host, labels=labels), "host")


def test_a_key_is_compared_as_it_is_but_for_blanks_around() -> None:
    rows = table(["db-1", "DB-2"])
    assert [found(rows, host) for host in ("db-1", " db-1 ", "db-2", "")] == ["db-1", "db-1", None, None]


def test_without_case_if_the_table_says_so() -> None:
    rows = table(["Db-1", "straße"], ignore_case=True)
    assert [found(rows, host) for host in ("dB-1", "STRASSE")] == ["Db-1", "straße"]


def test_a_field_may_be_a_label_and_of_several_values_the_first_with_a_row_counts() -> None:
    rows = table(["b@example.org", "c@example.org"])
    assert found(rows, "x", "labels.asset", {"asset": "c@example.org"}) == "c@example.org"
    several = subject(recipients=("a@example.org", "c@example.org", "b@example.org"))
    assert Lookup("hosts", "recipients", rows).value(several, "host") == "c@example.org"


def test_of_patterns_the_most_specific_counts_and_a_plain_name_before_them() -> None:
    rows = table(["*", "db-*", "db-fra-*", "db-fra-1", "*-fra-?", "web-[12]"], "glob")
    names = ("db-fra-1", "db-fra-2", "db-1", "app-fra-2", "web-2", "web-3")
    assert [found(rows, host) for host in names] == ["db-fra-1", "db-fra-*", "db-*", "*-fra-?", "web-[12]", "*"]


def test_wildcards_are_plain_characters_where_patterns_were_not_asked_for() -> None:
    rows = table(["db-*"])
    assert [found(rows, host) for host in ("db-*", "db-1")] == ["db-*", None]


def test_of_networks_the_smallest_counts() -> None:
    rows = table(["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "2001:db8::/32"], "cidr")
    addresses = ("192.0.2.1", "10.9.9.9", "10.1.9.9", "10.1.2.3", "[2001:db8::1]:80", "::1", "db-1")
    expected = ["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "2001:db8::/32", None, None]
    assert [found(rows, address) for address in addresses] == expected


_NETWORKS = st.lists(
    st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)).map(lambda one: ipaddress.IPv4Network(one, strict=False)),
    unique=True,
    max_size=20,
)


@given(_NETWORKS, st.integers(0, 2**32 - 1))
def test_a_network_is_found_as_if_all_had_been_tried(networks: list[ipaddress.IPv4Network], number: int) -> None:
    address = ipaddress.IPv4Address(number)
    holding = [network for network in networks if address in network]
    best = max(holding, key=lambda network: network.prefixlen, default=None)
    assert found(table([str(network) for network in networks], "cidr"), str(address)) == (best and str(best))


def test_without_a_row_columns_are_absent_or_empty_or_those_of_the_default() -> None:
    rows = table(["db-1"])
    for lookup, value, columns, told in (
        (Lookup("hosts", "host", rows), None, None, 'lookup hosts: no row for host "db-9"'),
        (
            Lookup("hosts", "host", rows, tells=False),
            "",
            {"host": "", "site": ""},
            'lookup hosts: no row for host "db-9"',
        ),
        (
            Lookup("hosts", "host", rows, default={"site": "HQ"}),
            "HQ",
            {"host": "", "site": "HQ"},
            'lookup hosts: host "db-9" is the default row: site=HQ',
        ),
    ):
        event = subject("db-9")
        assert lookup.value(event, "site") == value
        assert lookup.columns(event) == columns
        assert str(lookup.trace(event)) == told


def test_a_row_is_told_with_its_place_and_its_columns() -> None:
    lookup = Lookup("hosts", "host", table(["db-0", "db-1"]))
    told = 'lookup hosts: host "db-1" is hosts.csv:3: host=db-1, site=site of db-1'
    assert str(lookup.trace(subject("db-1"))) == told

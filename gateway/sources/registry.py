"""All source kinds by name. A new sender is one new folder and one line here; others come as entry points."""

from collections.abc import Mapping
from importlib.metadata import entry_points
from types import MappingProxyType

from gateway.sources import generic, mail, nagios, zabbix
from gateway.sources.protocol import SourceKind

ENTRY_POINTS = "ticket_gateway.sources"
_OWN = (nagios.KIND, zabbix.KIND, generic.KIND, mail.KIND)


def _kinds() -> dict[str, SourceKind]:
    kinds = {kind.name: kind for kind in _OWN}
    for point in entry_points(group=ENTRY_POINTS):
        loaded: object = point.load()
        if not isinstance(loaded, SourceKind):
            raise TypeError(f"entry point {point.name} of {ENTRY_POINTS} is no SourceKind: {point.value}")
        if loaded.name in kinds:
            raise ValueError(f"entry point {point.value} names its source kind {loaded.name!r}, which exists already")
        kinds[loaded.name] = loaded
    return kinds


SOURCE_KINDS: Mapping[str, SourceKind] = MappingProxyType(_kinds())

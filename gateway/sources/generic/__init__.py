"""Any sender of JSON or forms: fields are found by a `map` of paths, or have the event's own names."""

from gateway.sources.generic.source import KIND

__all__ = ["KIND"]

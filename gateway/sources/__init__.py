"""Bytes -> events. One folder per sender. See :mod:`gateway.sources.protocol`."""

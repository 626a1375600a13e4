"""Nagios Core (and what speaks its macros: Naemon, Icinga 1, Icinga 2 with a notification command)."""

from gateway.sources.nagios.source import KIND

__all__ = ["KIND"]

"""Zabbix, through a webhook media type: ours or one that users wrote."""

from gateway.sources.zabbix.source import KIND

__all__ = ["KIND"]

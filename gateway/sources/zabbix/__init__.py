"""Zabbix webhooks."""

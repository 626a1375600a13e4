"""Matchers and decide(): which routes take an event, and why."""

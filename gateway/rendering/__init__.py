"""Ticket templates in a sandbox with limits."""

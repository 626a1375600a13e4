"""Nagios Core and what speaks like it."""

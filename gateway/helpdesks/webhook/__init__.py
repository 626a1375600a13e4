"""Tickets over any HTTP API that takes JSON."""

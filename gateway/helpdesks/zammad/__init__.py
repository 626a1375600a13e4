"""Zammad: tickets, follow-ups and changes of state over its REST API."""

"""Tickets by mail, for every helpdesk that reads mail."""

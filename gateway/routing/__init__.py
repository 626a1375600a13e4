"""Routing: which rule takes an event, and why. Pure functions of the event and the compiled rules."""

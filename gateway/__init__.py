"""ticket-gateway: from everything that can raise an alarm to exactly one ticket.

The way of an event can be read in :mod:`gateway.pipeline`; :mod:`gateway.app` builds a gateway from a configuration.
"""

__version__ = "0.1.0"

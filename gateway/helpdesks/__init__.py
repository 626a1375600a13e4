"""One folder per helpdesk: connector, capabilities, sandbox, README. See :mod:`gateway.helpdesks.protocol`."""

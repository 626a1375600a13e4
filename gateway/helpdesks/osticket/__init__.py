"""osTicket: connector, settings, sandbox and what is known of it."""

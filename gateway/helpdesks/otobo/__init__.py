"""OTOBO and Znuny: connector, settings, sandbox and what is known of their Generic Interface."""

"""One local server that stands in for the helpdesks, with a page that shows its tickets.

`gateway.sandbox.sandbox.Sandbox` holds the tickets, `gateway.sandbox.app.sandbox_app` is the ASGI application,
`gateway.sandbox.serve` runs it as a program. What a helpdesk does stands in that helpdesk's own folder.
"""

SANDBOX_API_KEY = "5A4DB0C05A4DB0C05A4DB0C05A4DB0C0"
"""The key that every new sandbox accepts from any loopback address. It opens nothing but sandboxes."""

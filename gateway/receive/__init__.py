"""The doors: HTTP application, authentication, admission."""

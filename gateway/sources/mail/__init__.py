"""Mail, by SMTP, LMTP, pipe or as `message/rfc822` over HTTP: persons' mail, bounces, automatic mail, alert mails."""

from gateway.sources.mail.source import KIND

__all__ = ["KIND"]

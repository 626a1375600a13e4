"""What is wrong or doubtful about the mail doors and the recipients of mail sources."""

import ipaddress
import os
from collections.abc import Iterator

from gateway.config.listen import parse_listen
from gateway.config.models import LmtpServer, SmtpServer
from gateway.config.problems import Path
from gateway.config.subject import Note, Subject, error, warning
from gateway.receive.smtp.mailroom import recipients_of
from gateway.receive.smtp.recipients import Pattern, parse_pattern

_LONGEST_SOCKET = 107  # octets; sun_path of Linux has 108 with the final NUL
_LMTP_FORBIDDEN = 25  # RFC 2033, section 5


def _doors(subject: Subject) -> Iterator[tuple[Path, SmtpServer | LmtpServer]]:
    server = subject.config.server
    if server.smtp is not None:
        yield ("server", "smtp"), server.smtp
    if server.lmtp is not None:
        yield ("server", "lmtp"), server.lmtp


def mail_addresses(subject: Subject) -> Iterator[Note]:
    """The doors listen on addresses that can be read, each once."""
    for path, door in _doors(subject):
        seen: set[str] = set()
        settings = [("listen", door.listen)]
        if isinstance(door, SmtpServer):
            settings.append(("listen_tls", door.listen_tls))
        if not any(listen for _, listen in settings):
            yield error((*path, "listen"), "is empty", "write 127.0.0.1:2525, or take the section out")
        for name, listen in settings:
            for index, text in enumerate([listen] if isinstance(listen, str) else listen):
                at: Path = (*path, name) if isinstance(listen, str) else (*path, name, index)
                try:
                    address = parse_listen(text)
                except ValueError as problem:
                    message, _, hint = str(problem).partition("; ")
                    yield error(at, message, hint)
                    continue
                if str(address) in seen:
                    yield error(at, f"'{address}' stands here twice")
                seen.add(str(address))
                if isinstance(door, LmtpServer) and address.port == _LMTP_FORBIDDEN:
                    yield error(at, "LMTP must not be on port 25", "take another port, or a unix socket")


def mail_tls(subject: Subject) -> Iterator[Note]:
    """Certificates are there where they are needed, and passwords do not go in clear."""
    door = subject.config.server.smtp
    path: Path = ("server", "smtp")
    if door is None:
        return
    if door.tls is not None:
        for name, value in (("cert", door.tls.cert), ("key", door.tls.key)):
            file = subject.config.resolve(value)
            if not file.is_file():
                yield error((*path, "tls", name), f"the file {file} is not there", "mend the name")
    elif door.require_tls or door.listen_tls:
        yield error(
            (*path, "require_tls" if door.require_tls else "listen_tls"), "needs a certificate", "fill in `tls`"
        )
    if door.require_tls and not door.starttls and door.listen:
        hint = "allow `starttls`, or set `listen: []` and use `listen_tls`"
        yield error((*path, "require_tls"), "leaves no way in at `listen` while `starttls` is off", hint)
    if door.auth is not None:
        for user, password in door.auth.users.items():
            if not password.reveal().startswith("$argon2"):
                hint = "make one: python -c 'import argon2; print(argon2.PasswordHasher().hash(input()))'"
                yield error((*path, "auth", "users", user), "is no Argon2 hash", hint)
        if door.tls is None and not door.auth.without_tls_on_loopback:
            yield warning((*path, "auth"), "nobody can log in: `AUTH` needs TLS", "fill in `tls`")


def mail_networks(subject: Subject) -> Iterator[Note]:
    """Networks are networks."""
    for path, door in _doors(subject):
        settings = [("networks", door.networks)]
        if isinstance(door, SmtpServer):
            settings.append(("proxy_protocol", door.proxy_protocol))
        for name, texts in settings:
            for index, text in enumerate(texts):
                try:
                    ipaddress.ip_network(text, strict=False)
                except ValueError:
                    hint = "write 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32"
                    yield error((*path, name, index), f"'{text}' is no address or network", hint)


def mail_recipients(subject: Subject) -> Iterator[Note]:
    """Recipients can be read, belong to one source each, and there is a door for them."""
    server = subject.config.server
    owners: dict[Pattern, str] = {}
    for name, source in subject.config.sources.items():
        path: Path = ("sources", name, "recipients")
        recipients = recipients_of(source)
        if recipients and server.smtp is None and server.lmtp is None:
            hint = "add `server: {smtp: {listen: ...}}`, or `lmtp`"
            yield warning(path, "no mail door is open, so nothing arrives for these by SMTP or LMTP", hint)
        for index, text in enumerate(recipients):
            try:
                pattern = parse_pattern(text)
            except ValueError as problem:
                message, _, hint = str(problem).partition("; ")
                yield error((*path, index), message, hint)
                continue
            other = owners.setdefault(pattern, name)
            if other != name:
                yield error((*path, index), f"'{text}' belongs to '{other}' already", "each recipient has one source")
    if subject.whole and not owners:
        for path, _ in _doors(subject):
            yield warning(path, "no source has `recipients`: every mail is refused", "add a source of kind `mail`")


def mail_spool(subject: Subject) -> Iterator[Note]:
    """The pipe's spool has room for the name of a socket."""
    spool = subject.config.server.spool
    if spool and len(os.fsencode(subject.config.folder.absolute() / spool / "socket")) > _LONGEST_SOCKET:
        hint = f"unix sockets have names of at most {_LONGEST_SOCKET} octets"
        yield error(("server", "spool"), "is too long for the socket in it", hint)


MAIL_CHECKS = (mail_addresses, mail_tls, mail_networks, mail_recipients, mail_spool)
"""All checks of this module."""

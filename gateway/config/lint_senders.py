"""What is wrong or doubtful about how a mail source finds out who vouches for a sender."""

import importlib.util
import ipaddress
from collections.abc import Iterator

from gateway.config.problems import Path
from gateway.config.subject import Note, Subject, error, warning
from gateway.receive.networks import parse_address
from gateway.sources.mail.settings import MailSettings

_LIBRARIES = ("dkim", "dns", "spf")


def name_servers(subject: Subject) -> Iterator[Note]:
    """Name servers are addresses."""
    for index, text in enumerate(subject.config.server.dns.servers):
        if parse_address(text) is None:
            hint = "write 192.0.2.53, 192.0.2.53:5353 or [2001:db8::53]:53"
            yield error(("server", "dns", "servers", index), f"'{text}' is no address of a name server", hint)


def senders(subject: Subject) -> Iterator[Note]:
    """The checks can be made, and what follows from them can happen."""
    for name, source in subject.config.sources.items():
        if not isinstance(source, MailSettings):
            continue
        path: Path = ("sources", name)
        for index, text in enumerate(source.auth_results.networks if source.auth_results else []):
            try:
                ipaddress.ip_network(text.strip(), strict=False)
            except ValueError:
                hint = "write 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32"
                yield error((*path, "auth_results", "networks", index), f"'{text}' is no address or network", hint)
        yield from _own_checks(path, source)
        yield from _consequences(path, source)


def _own_checks(path: Path, source: MailSettings) -> Iterator[Note]:
    if source.verify and any(importlib.util.find_spec(name) is None for name in _LIBRARIES):
        hint = "run: pip install 'ticket-gateway[mail-auth]'"
        yield error((*path, "verify"), "needs libraries that are not installed", hint)
    if "dmarc" in source.verify and not {"dkim", "spf"} & set(source.verify) and source.auth_results is None:
        yield error((*path, "verify"), "DMARC is nothing without DKIM or SPF", "write [dkim, spf, dmarc]")


def _consequences(path: Path, source: MailSettings) -> Iterator[Note]:
    if source.on_auth_fail == "tag":
        return
    if source.auth_results is None and not source.verify:
        hint = "add `auth_results` or `verify`"
        yield warning((*path, "on_auth_fail"), "never happens: nobody looks at the sender", hint)
    elif source.on_auth_fail == "reject" and source.auth_results is None:
        hint = "name your mail server in `auth_results`, or write dead_letter"
        told = "refuses nothing: what `verify` finds out comes after the answer, so such mail is kept as a dead letter"
        yield warning((*path, "on_auth_fail"), told, hint)


SENDER_CHECKS = (name_servers, senders)
"""All checks of this module."""

"""What is wrong or doubtful in a configuration whose keys and types are right: a list of small checks."""

import ipaddress
import stat
import zoneinfo
from collections.abc import Iterator
from pathlib import Path as FilePath
from urllib.parse import urlsplit

from pydantic import BaseModel

from gateway.config.includes import shown_path
from gateway.config.lint_fallbacks import FALLBACK_CHECKS
from gateway.config.lint_includes import INCLUDE_CHECKS
from gateway.config.lint_lookups import LOOKUP_CHECKS
from gateway.config.lint_mail import MAIL_CHECKS
from gateway.config.lint_persons import PERSON_CHECKS
from gateway.config.lint_routes import ROUTE_CHECKS
from gateway.config.lint_senders import SENDER_CHECKS
from gateway.config.lint_storms import STORM_CHECKS
from gateway.config.lint_tests import TEST_CHECKS
from gateway.config.listen import listens, parse_listen
from gateway.config.models import Auth, HttpHelpdeskSettings
from gateway.config.problems import Level, Path, Problem, did_you_mean, in_order
from gateway.config.subject import Check, Note, Subject, error, info, warning
from gateway.config.values import Secret, rate_text
from gateway.receive.smtp.mailroom import recipients_of

__all__ = ["CHECKS", "Subject", "check", "secrets_in"]


def check(subject: Subject) -> tuple[Problem, ...]:
    """Everything that the checks have to say, in the order of the file."""
    config = subject.config
    problems: list[Problem] = []
    for each in CHECKS:
        for note in each(subject):
            place = config.places.at(note.path).place
            if note.file:
                found = Problem(note.file, note.line, 1 if note.line else 0, (), note.message, note.hint, note.level)
            else:
                file, path = place.file or str(config.path), shown_path(note.path, config.places.own)
                found = Problem(file, place.line, place.column, path, note.message, note.hint, note.level)
            problems.append(found)
    return in_order(problems)


def secrets_in(value: object, path: Path = ()) -> Iterator[tuple[Path, Secret]]:
    """Every secret inside settings, with its path as written in the file."""
    if isinstance(value, Secret):
        yield path, value
    elif isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            yield from secrets_in(getattr(value, name), (*path, field.alias or name))
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from secrets_in(inner, (*path, str(key)))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from secrets_in(inner, (*path, index))


# ------------------------------------------------------------------------------------------------------------- server


def only_loopback(subject: Subject) -> bool:
    """True if only this machine reaches the HTTP door."""
    try:
        return all(each.loopback for each in listens(subject.config.server.http.listen))
    except ValueError:
        return True  # told by `listen_addresses`


def listen_addresses(subject: Subject) -> Iterator[Note]:
    """`listen` is readable, not empty and without repetitions."""
    listen = subject.config.server.http.listen
    path: Path = ("server", "http", "listen")
    if not listen:
        yield error(path, "is empty", "write 127.0.0.1:8025")
    seen: set[str] = set()
    for index, text in enumerate([listen] if isinstance(listen, str) else listen):
        at = path if isinstance(listen, str) else (*path, index)
        try:
            address = str(parse_listen(text))
        except ValueError as problem:
            message, _, hint = str(problem).partition("; ")
            yield error(at, message, hint)
            continue
        if address in seen:
            yield error(at, f"'{address}' stands here twice")
        seen.add(address)


def server_files(subject: Subject) -> Iterator[Note]:
    """Certificates are there."""
    tls = subject.config.server.http.tls
    if tls is not None:
        for name, value in (("cert", tls.cert), ("key", tls.key)):
            if not subject.config.resolve(value).is_file():
                file = subject.config.resolve(value)
                yield error(("server", "http", "tls", name), f"the file {file} is not there", "mend the name")
    for name, helpdesk in subject.config.helpdesks.items():
        if helpdesk.ca and not subject.config.resolve(helpdesk.ca).is_file():
            file = subject.config.resolve(helpdesk.ca)
            yield error(("helpdesks", name, "ca"), f"the file {file} is not there", "mend the name")


def journal_url(subject: Subject) -> Iterator[Note]:
    """The journal's address is of a kind that is built."""
    url = subject.config.server.journal.url
    path: Path = ("server", "journal", "url")
    if url.startswith(("postgres:", "postgresql:")):
        yield error(path, "is not built yet: a journal in PostgreSQL", "write sqlite:///data/journal.db")
    elif not url.startswith("sqlite:///") or url == "sqlite:///":
        yield error(path, "this is no address of a journal", "write sqlite:///data/journal.db")


def networks(subject: Subject) -> Iterator[Note]:
    """Networks are networks."""
    groups: list[tuple[Path, list[str]]] = [
        (("sources", name, "networks"), source.networks) for name, source in subject.config.sources.items()
    ]
    groups.append((("server", "http", "trusted_proxies"), subject.config.server.http.trusted_proxies))
    for path, texts in groups:
        for index, text in enumerate(texts):
            try:
                ipaddress.ip_network(text, strict=False)
            except ValueError:
                hint = "write 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32"
                yield error((*path, index), f"'{text}' is no address or network", hint)


# ------------------------------------------------------------------------------------------------------------ sources


def authentication(subject: Subject) -> Iterator[Note]:
    """Every source says how its sender proves who it is."""
    loopback = only_loopback(subject)
    for name, source in subject.config.sources.items():
        path: Path = ("sources", name)
        if source.auth is None and (recipients_of(source) or source.kind == "mail"):
            continue  # it comes by mail; by HTTP it lets nobody in
        if source.auth is None:
            hint = f'add `auth: {{bearer: "${{env:{_variable(name)}}}"}}`; `auth: none` lets anybody send'
            yield error(path, "'auth' is missing", hint)
        elif source.auth == "none":
            if not loopback and not source.networks:
                hint = "add `auth`, or `networks` that may send"
                yield warning((*path, "auth"), "anybody who reaches the gateway may send here", hint)
        elif isinstance(source.auth, Auth):
            yield from _ways((*path, "auth"), source.auth)


def _ways(path: Path, auth: Auth) -> Iterator[Note]:
    given = [name for name in type(auth).model_fields if getattr(auth, name) not in (None, [], {})]
    if not given:
        yield error(path, "names no way to authenticate", f"known: {', '.join(type(auth).model_fields)}")
    if len(given) > 1:
        yield warning(
            path, f"any one of {', '.join(given)} is enough to send", "keep one, unless you are changing over"
        )
    if auth.hmac is not None and auth.hmac.algorithm == "sha1":
        yield warning((*path, "hmac", "algorithm"), "sha1 is weak", "use sha256 where the sender can")


def timezones(subject: Subject) -> Iterator[Note]:
    """Zones are in the time zone database."""
    for name, source in subject.config.sources.items():
        if source.timezone:
            try:
                zoneinfo.ZoneInfo(source.timezone)
            except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
                hint = did_you_mean(source.timezone, zoneinfo.available_timezones())
                shown = hint if hint.startswith("did") else "write one like Europe/Berlin"
                yield error(("sources", name, "timezone"), f"unknown time zone '{source.timezone}'", shown)


def plain_secrets(subject: Subject) -> Iterator[Note]:
    """Secrets come from outside the file, but for the sandbox."""
    config = subject.config
    loopback = only_loopback(subject)
    exposed: dict[str, None] = {}  # the files in which they stand
    groups: list[tuple[Path, BaseModel]] = [(("server",), config.server)]
    groups += [(("sources", name), source) for name, source in config.sources.items()]
    groups += [(("helpdesks", name), each) for name, each in config.helpdesks.items() if not each.sandbox]
    for prefix, model in groups:
        for path, _ in secrets_in(model, prefix):
            spot = config.places.at(path)
            origin = spot.origin
            if origin == "written":
                exposed[spot.place.file] = None
                yield warning(path, "a secret in plain text", "write ${env:NAME} or ${file:PATH} in its place")
            elif origin == "default" and not loopback:
                exposed[spot.place.file] = None
                yield warning(path, "the default in this file serves as secret", "set the variable")
    for file in exposed:
        if _others_read(FilePath(file or config.path)):
            message = "everybody on this machine can read this file and the secrets in it"
            if file:
                yield Note(Level.WARNING, (), message, "chmod 640 it", file=file)
            else:
                yield warning((), message, "chmod 640 it")


def _others_read(file: FilePath) -> bool:
    try:
        return bool(file.stat().st_mode & stat.S_IROTH)
    except (OSError, ValueError):
        return False


# ---------------------------------------------------------------------------------------------------------- helpdesks


def helpdesk_addresses(subject: Subject) -> Iterator[Note]:
    """Addresses are addresses, and keys do not travel in the clear."""
    for name, helpdesk in subject.config.helpdesks.items():
        path: Path = ("helpdesks", name)
        if isinstance(helpdesk, HttpHelpdeskSettings):
            yield from _http_address((*path, "url"), helpdesk.url)
        try:
            helpdesk.ticket_url.format(number="1", id="1")
        except (KeyError, IndexError, ValueError, AttributeError):
            yield error((*path, "ticket_url"), "only {number} and {id} can stand in braces here")
        if not helpdesk.shadow and not helpdesk.sandbox:
            limit = helpdesk.limits.creates
            told = (
                f"at most {rate_text(limit)} new tickets (limits.creates)"
                if limit
                else "no brake (limits.creates: off)"
            )
            yield info(
                path, told, "what is more waits and is told" if limit else "a flood of alarms is a flood of tickets"
            )
        if helpdesk.shadow:
            yield info(
                (*path, "mode"), "what would be written to this helpdesk is only shown", "take it out to make tickets"
            )
        for key, message, hint in helpdesk.doubtful():
            yield warning((*path, key), message, hint)
        if not helpdesk.verify:
            yield warning((*path, "verify"), "any certificate is accepted", "name the authority with `ca`")


def _http_address(path: Path, url: str) -> Iterator[Note]:
    try:
        parts = urlsplit(url)
        known = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        known = False
        parts = urlsplit("")
    if not known:
        yield error(path, "this is no address", "write https://HOST/api")
    elif parts.username or parts.password:
        yield error(path, "the address holds a user or password", "use `auth`")
    elif parts.scheme == "http" and not _loopback(parts.hostname or ""):
        yield warning(path, "the key and all tickets travel in the clear", "use https")


def settle_times(subject: Subject) -> Iterator[Note]:
    """`settle` outlasts what a real helpdesk may still be doing."""
    for name, helpdesk in subject.config.helpdesks.items():
        if helpdesk.limits.settle < 60 and not helpdesk.sandbox:
            path: Path = ("helpdesks", name, "limits", "settle")
            yield error(
                path, f"{helpdesk.limits.settle:g}s is too short", "at least 60s; less only with `sandbox: true`"
            )
        if helpdesk.limits.retry_first > helpdesk.limits.retry_most:
            path = ("helpdesks", name, "limits", "retry_first")
            yield error(path, "is longer than `retry_most`", "make it the shorter one")


def whole_file(subject: Subject) -> Iterator[Note]:
    """There is something to do."""
    config = subject.config
    if not subject.whole:
        return
    if not config.sources:
        yield warning((), "no source: nobody can send anything", "add one under `sources`")
    if not config.routes and config.unrouted.ticket is None:
        yield warning((), "no route: every event becomes a dead letter", "add one under `routes`")


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _variable(name: str) -> str:
    return "".join(character if character.isalnum() else "_" for character in name).upper() + "_TOKEN"


CHECKS: tuple[Check, ...] = (
    listen_addresses,
    server_files,
    journal_url,
    networks,
    authentication,
    timezones,
    plain_secrets,
    helpdesk_addresses,
    settle_times,
    *INCLUDE_CHECKS,
    *MAIL_CHECKS,
    *SENDER_CHECKS,
    *ROUTE_CHECKS,
    *TEST_CHECKS,
    *PERSON_CHECKS,
    *LOOKUP_CHECKS,
    *FALLBACK_CHECKS,
    *STORM_CHECKS,
    whole_file,
)
"""All checks; their order does not matter, findings are sorted by place."""

"""Generic payloads to events."""

import base64
import binascii
import hashlib
from dataclasses import dataclass

import orjson

from gateway.config.models import SourceSettings
from gateway.model.event import Attachment, Event, Kind, Link, Severity
from gateway.model.json import JsonObject, JsonValue
from gateway.model.receipt import NewReceipt, Parsed, Receipt
from gateway.sources.clock import from_text
from gateway.sources.filenames import safe_filename
from gateway.sources.forms import MAX_FILES, OCTETS, media_type_of, unique_filename
from gateway.sources.generic.paths import look_up
from gateway.sources.generic.settings import AttachmentMap, GenericMap, GenericSettings, GroupMap, Where
from gateway.sources.generic.words import FALSE, KINDS, SEVERITIES, TRUE
from gateway.sources.payload import Body, fields_of, place_of, raw, read, text_of
from gateway.sources.protocol import Malformed, SourceKind
from gateway.sources.text import clean, digest_key, key, line, names_key, web_address

MAX_EVENTS = 1000
_MOST_LABELS = 200
_MOST_LINKS = 20
_MOST_TEXT = 20000


def parse(receipt: Receipt, settings: SourceSettings) -> Parsed:
    """The events of a payload, one or many. Never raises: what cannot be read becomes one event of kind `raw`."""
    generic = _generic(settings)
    try:
        body, entries = _read(receipt.body, receipt.content_type, generic, repair=True)
    except Malformed as fault:
        return raw(receipt.source, receipt.body, receipt.content_type, place_of(fault))
    warnings = list(body.warnings)
    events = []
    group = _group(body.value, generic.group)
    for index, entry in enumerate(entries):
        reader = _Reader(entry, body.value, generic, f"event {index + 1}: " if len(entries) > 1 else "")
        events.append(reader.event(body.files if index == 0 else (), group))
        warnings.extend(reader.warnings)
    return Parsed(tuple(events), tuple(warnings[:100]))


def inspect(new: NewReceipt, settings: SourceSettings) -> None:
    """Refuse what is not well-formed, has the wrong shape, or is no event at all.

    Raises:
        Malformed: with line and column or the name of the field.
    """
    _read(new.body, new.content_type, _generic(settings), repair=False)


def _generic(settings: SourceSettings) -> GenericSettings:
    """The settings; those of another kind (a test, a caller of `parse --source generic`) mean no map."""
    return settings if isinstance(settings, GenericSettings) else GenericSettings(kind="generic")


def _read(data: bytes, content_type: str, settings: GenericSettings, *, repair: bool) -> tuple[Body, list[JsonObject]]:
    body = read(data, content_type, repair=repair)
    value, where = body.value, "the top level"
    if settings.events is not None:
        value, where = look_up(value, settings.events), settings.events
        if not isinstance(value, list):
            raise Malformed("a list of events was expected", place=f"field {where}")
    if isinstance(value, list):
        if not 0 < len(value) <= MAX_EVENTS:
            raise Malformed(
                f"{len(value)} events in one request; 1 to {MAX_EVENTS} are taken",
                place=f"field {where}",
                hint="Send several requests.",
            )
        return body, [_entry(entry, index, where) for index, entry in enumerate(value)]
    return body, [fields_of(value)]


def _entry(value: JsonValue, index: int, where: str) -> JsonObject:
    if isinstance(value, dict):
        return value
    raise Malformed(f"entry {index + 1} is no object", place=f"field {where}[{index}]")


@dataclass(frozen=True, slots=True)
class Group:
    """What a body says of the group of its alerts; see `gateway.model.event.Event`."""

    name: str = ""
    over: bool = False
    whole: bool = False


def _group(body: JsonValue, rule: GroupMap | None) -> Group:
    if rule is None:
        return Group()
    name = key(find(body, body, rule.key))
    if not name:
        return Group()
    left_out = text_of(look_up(body, rule.left_out, body)).strip() if rule.left_out else ""
    state = find(body, body, rule.state).strip().lower()
    return Group(name, KINDS.get(state) is Kind.RECOVERY, rule.whole and left_out in {"", "0"})


def find(entry: JsonValue, top: JsonValue, where: Where | None) -> str:
    """The text that a rule finds, through its table."""
    if where is None:
        return ""
    if isinstance(where, str):
        return text_of(look_up(entry, where, top))
    if isinstance(where, list):
        return next((found for one in where if (found := find(entry, top, one))), "")
    value = where.const if where.const is not None else text_of(look_up(entry, where.path or "", top))
    if not value:
        return where.default
    return where.table.get(value, where.table.get("*", value))


class _Reader:
    """Reads one event out of one JSON object, and notes what it could not understand."""

    def __init__(self, entry: JsonObject, top: JsonValue, settings: GenericSettings, prefix: str) -> None:
        self.entry = entry
        self.top = top
        self.settings = settings
        self.map: GenericMap = settings.map
        self.prefix = prefix
        self.warnings: list[str] = []

    def event(self, files: tuple[Attachment, ...], group: Group) -> Event:
        state = line(self._get(self.map.state), 200)
        kind = self._kind(state)
        title, text, html = self._words()
        host, service = key(self._get(self.map.host)), key(self._get(self.map.service))
        problem_id = key(self._get(self.map.problem_id))
        occurred_at, reasons = self._occurred()
        delivery = self._get(self.map.duplicate_key)
        return Event(
            kind=kind,
            severity=self._severity(kind, state),
            title=title,
            text=text,
            html=html,
            state=state,
            still_in_problem=self._still(kind),
            host=host,
            service=service,
            labels=self._labels(),
            origin_key=self._origin(problem_id, host, service, title),
            problem_id=problem_id,
            group=group.name,
            group_over=group.over,
            group_whole=group.whole,
            occurred_at=occurred_at,
            links=self._links(),
            sender_name=line(self._get(self.map.sender.name), 200) if self.map.sender else "",
            sender_address=line(self._get(self.map.sender.address), 320) if self.map.sender else "",
            duplicate_key=digest_key("generic", delivery) if delivery else "",
            attachments=files + self._attachments(self.map.attachments, files),
            reasons=reasons,
        )

    def _warn(self, what: str) -> None:
        self.warnings.append(self.prefix + what)

    def _at(self, path: str) -> JsonValue:
        return look_up(self.entry, path, self.top)

    def _get(self, where: Where | None) -> str:
        return find(self.entry, self.top, where)

    def _kind(self, state: str) -> Kind:
        said = self._get(self.map.kind).strip().lower()
        if said in KINDS:
            return KINDS[said]
        if said:
            self._warn(
                f"field kind: {line(said, 50)} is not known, so the event is a problem; add a `table` to the map"
            )
            return Kind.PROBLEM
        return KINDS.get(state.strip().lower(), Kind.PROBLEM)

    def _severity(self, kind: Kind, state: str) -> Severity:
        said = self._get(self.map.severity).strip().lower()
        changed = {word.lower(): severity for word, severity in self.settings.severity.items()}
        if said in changed:
            return Severity(changed[said])
        if said in SEVERITIES:
            return SEVERITIES[said]
        if said:
            self._warn(f"field severity: {line(said, 50)} is not known; add a `table` to the map")
            return Severity.UNKNOWN
        if kind in {Kind.RECOVERY, Kind.INFORMATION, Kind.MESSAGE}:
            return Severity.INFO
        return SEVERITIES.get(state.strip().lower(), Severity.UNKNOWN)

    def _still(self, kind: Kind) -> bool | None:
        said = self._get(self.map.still_in_problem).strip().lower()
        if said in TRUE | FALSE:
            return said in TRUE
        return {Kind.PROBLEM: True, Kind.RECOVERY: False}.get(kind)

    def _words(self) -> tuple[str, str, str]:
        """Title, text and HTML; what is missing is taken from the other, at last from the payload itself."""
        text, html = clean(self._get(self.map.text)), clean(self._get(self.map.html))
        title = line(self._get(self.map.title))
        if not title and not text and not html:
            self._warn("no title and no text was found; the ticket shows the payload")
            shown = orjson.dumps(self.entry, option=orjson.OPT_INDENT_2).decode()
            return "Message without a title", clean(shown[:_MOST_TEXT]), ""
        return title or line(text, 200) or "Message without a title", text, html

    def _origin(self, problem_id: str, host: str, service: str, title: str) -> str:
        origin = key(self._get(self.map.origin_key))
        if origin:
            return origin
        if problem_id:
            return problem_id
        if host or service:
            return names_key(host, service)
        return "title:" + digest_key(title)

    def _occurred(self) -> tuple[float | None, tuple[str, ...]]:
        said = self._get(self.map.occurred_at)
        moment, reasons = from_text(said, self.settings.timezone)
        if said and moment is None and not reasons:
            self._warn(f"field occurred_at: {line(said, 50)} is no time; send ISO 8601 or seconds since 1970")
        return moment, reasons

    def _labels(self) -> dict[str, str]:
        if self.map.labels is None:
            return {}
        if isinstance(self.map.labels, str):
            found = self._at(self.map.labels)
            pairs = [(name, text_of(value)) for name, value in found.items()] if isinstance(found, dict) else []
        else:
            pairs = [(name, self._get(where)) for name, where in self.map.labels.items()]
        if len(pairs) > _MOST_LABELS:
            self._warn(f"field labels: only the first {_MOST_LABELS} of {len(pairs)} were taken")
        return {line(name, 200): line(value, 2000) for name, value in pairs[:_MOST_LABELS] if line(name) and value}

    def _links(self) -> tuple[Link, ...]:
        pairs: list[tuple[str, str]] = []
        if isinstance(self.map.links, str):
            found = self._at(self.map.links)
            for item in found[:_MOST_LINKS] if isinstance(found, list) else []:
                if isinstance(item, dict):
                    pairs.append((text_of(item.get("title")), text_of(item.get("url"))))
                else:
                    pairs.append(("", text_of(item)))
        else:
            pairs = [(link.title, text_of(self._at(link.url))) for link in self.map.links or []]
        links = ((line(title, 200), web_address(url)) for title, url in pairs)
        return tuple(Link(title or url, url) for title, url in links if url)

    def _attachments(self, rule: AttachmentMap, files: tuple[Attachment, ...]) -> tuple[Attachment, ...]:
        listed = self._at(rule.path)
        if not isinstance(listed, list):
            return ()
        if len(listed) > MAX_FILES:
            self._warn(f"field {rule.path}: only the first {MAX_FILES} of {len(listed)} attachments were taken")
        taken = {file.filename for file in files}
        found: list[Attachment] = []
        for index, item in enumerate(listed[:MAX_FILES]):
            attachment = self._attachment(item, rule, f"{rule.path}[{index}]", taken)
            if attachment is not None:
                taken.add(attachment.filename)
                found.append(attachment)
        return tuple(found)

    def _attachment(self, item: JsonValue, rule: AttachmentMap, where: str, taken: set[str]) -> Attachment | None:
        encoded = look_up(item, rule.content)
        if not isinstance(encoded, str):
            self._warn(f"field {where}: no content, so there is no attachment")
            return None
        declared = media_type_of(text_of(look_up(item, rule.media_type)))
        try:
            content = base64.b64decode("".join(encoded.split()), validate=True)
        except (binascii.Error, ValueError):
            self._warn(f"field {where}: the content is no base64; it was attached as it is")
            content, declared = encoded.encode("utf-8", "replace"), "text/plain"
        name = safe_filename(
            text_of(look_up(item, rule.filename)), f"attachment-{hashlib.sha256(content).hexdigest()[:8]}"
        )
        return Attachment(unique_filename(name, taken), declared or OCTETS, content)


KIND = SourceKind(
    name="generic",
    title="Generic webhook",
    settings=GenericSettings,
    parse=parse,
    inspect=inspect,
    default_key=("origin_key",),
)

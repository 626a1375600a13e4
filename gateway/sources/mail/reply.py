"""What a person wrote in a reply, without what it quotes and without the signature at its end.

Losing a word of the writer's is worse than keeping a quoted line. So a quote is cut where a mail program's own mark
tells it (a header line or block, ``>``), what stands after or between quotes stays, a forward is no quote, a signature
goes only where nothing but it stands at the end, and where nothing would be left everything stays.
"""

import re
from dataclasses import dataclass
from typing import Final

from gateway.sources.mail import reply_words as words

_MOST_LINES: Final = 5000
_LONGEST: Final = 400
_SPAN: Final = 6
_ENDING: Final = 80  # characters at the end of a line in which its verb stands
_NAMED: Final = 60  # characters within which the name of a header field ends

_VERB = words.alternatives(words.VERBS)
_OPENER = re.compile(
    r"^[\s>*_-]*+(?:(?:" + words.alternatives(words.OPENERS) + r")(?=[\s,.\d])|\d{1,4}[-./年]\d{1,2}|\d{1,2}[.:]? )",
    re.IGNORECASE,
)
_WHEN = re.compile(r"\d{1,2}[:.h]\d{2}|\b(?:19|20)\d\d\b|\d{1,2}[/.-]\d{1,2}[/.-]\d{2,4}|\d年|\d{1,2} tháng")
_DIGIT = re.compile(r"\d")
_SAID_LAST = re.compile(r"(?:^|[\s,>)\]\"'/]|\w(?=[^\x00-\x7f]))" + _VERB + r"\s*[:：]?\s*[-*_]*\s*$", re.IGNORECASE)
_SAID_WITHIN = re.compile(r"\s" + _VERB + r"\s.{0,200}[:：]\s*[-*_]*\s*$", re.IGNORECASE)
_ADDRESS = re.compile(r"<?[^\s<>@]+@[^\s<>@]+>?")
_ENDS_IN_ADDRESS = re.compile(r"<\s*(?:mailto:)?[^\s<>@]+@[^\s<>@]+\s*>\s*[:：]?\s*$")
_ADDRESS_SAID = re.compile(r"<[^\s<>@]+@[^\s<>@]+>\s*" + _VERB + r"\s*[:：]\s*$", re.IGNORECASE)
_SHARED = re.compile(r"(?:\s|-{2,}\s*)(On\s+(?:\w{2,9},?\s+)?\w{2,9}\.?\s+\d{1,2},?\s+\d{4}.{0,200}\bwrote\s*:\s*)$")
# Without one of these a line is only text.
_MARKED = re.compile(r"[>:：\d]|--|^[ \t*_]*[-=_*‐–—]")
_COLONS: Final = frozenset(":：")
_ORIGINAL: Final = frozenset(name.casefold() for name in words.ORIGINAL)
_FORWARDED: Final = tuple(name.casefold() for name in words.FORWARDED)
_FRAME: Final = " \t>*_-=:：‐–—"
_MARKS = re.compile("[\u200b-\u200f\u202a-\u202e\u2066-\u2069]")  # of direction, which some programs put around names
_FULL_DATE = re.compile(r"(?:19|20)\d\d|\d{1,2}[/.-] ?\d{1,2}[/.-] ?\d{2}(?!\d)")
_TIME = re.compile(r"\d{1,2}[:.h]\d{2}")
_IN_BRACKETS = re.compile(r"[<(]\s*(?:mailto:)?[^\s<>@()]+@[^\s<>@()]+\s*[>)]")
_SAID = re.compile(r"(?:^|[\s,>)\]]|(?<=\d))" + _VERB + r"(?=[\s:：(]|$)", re.IGNORECASE)
_QUOTING = re.compile(words.alternatives(words.QUOTING) + r"\s", re.IGNORECASE)
_DASHES = re.compile(r"\s*-{5,}\s*")
# Above a quote; a rule of dashes alone may be the writer's.
_RULE_OF_QUOTE = re.compile(r"^\s*(?:_{5,}|[-_=*‐–—]{3,}\s*[^\W\d][^\d\n]{2,40}?\s*[-_=*‐–—]{3,})\s*$")
_RULE = re.compile(r"^\s*_{5,}\s*$")  # of Outlook; a rule of dashes may be the writer's


def _field(names: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(r"^[\s>*_|]*+" + words.alternatives(names) + r"[*_]*\s?[:：][*_]*(?:\s|$|[^\s/])", re.IGNORECASE)


_FIELDS: Final = {
    "from": _field(words.FROM),
    "date": _field(words.DATE),
    "to": _field(words.TO),
    "subject": _field(words.SUBJECT),
}
_QUOTED = re.compile(r"^[ \t]{0,3}>")
_BANNER = re.compile(r"^\s*>.*<\s*$")
_WRAPPED = re.compile(r"^\s*(?:[(<]?\s*https?://|\(|_|[\w/%&=?#.-]{1,200}[)>]\s*$)")
_SIGNATURE = re.compile(r"^\s{0,3}(?:--|—|–) ?$")
_LIST_FOOTER = re.compile(r"^\s*_{20,}\s*$")
_MOST_SIGNATURE: Final = 15


@dataclass(frozen=True, slots=True)
class Reply:
    """What was written, and whether something was quoted or signed beside it."""

    text: str
    cut: bool


def reply_text(text: str) -> str:
    """What the writer of this text wrote: without quotes, and without a signature at the end. Empty only if it is."""
    return split_reply(text).text


def split_reply(text: str) -> Reply:
    """What the writer wrote. Linear, and never empty unless the text is."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    head, rest = lines[:_MOST_LINES], lines[_MOST_LINES:]
    kept, quoted, ends_quoted = _without_quotes(head)
    if not any(line.strip() for line in kept):
        return Reply(text.strip("\n"), cut=False)
    if not ends_quoted:
        kept += rest
    if not ends_quoted and not rest:
        kept = _without_signature(kept)
    while kept and not kept[-1].strip():
        kept.pop()
    while kept and not kept[0].strip():
        kept.pop(0)
    return Reply("\n".join(kept), cut=quoted or len(kept) < len(lines))


def _without_quotes(lines: list[str]) -> tuple[list[str], bool, bool]:
    """The lines that are not quoted, whether any was, and whether a quote is the last that there is.

    A signature before a quote at the end stays: between the two stands, too often, what the writer wrote.
    """
    kept: list[str] = []
    quoted = False
    last = 0
    index = 0
    said = False  # whether a word of the writer's was seen
    marked = [_MARKED.search(line, 0, _LONGEST) is not None or line[-1:] in _COLONS for line in lines]
    marked.append(False)
    while index < len(lines):
        line = lines[index]
        if not marked[index] and not marked[index + 1]:  # nothing else can begin here
            said = said or bool(line.strip())
            kept.append(line)
            index += 1
            continue
        if _is_forward(line):
            return kept + lines[index:], quoted, False
        if _QUOTED.match(line) and not _BANNER.match(line):
            _drop_attribution(kept)
            index = _after_quote(lines, index)
            quoted, last = True, len(kept)
            continue
        shared = _SHARED.search(line) if len(line) <= _LONGEST and "wrote" in line else None
        if shared is not None and line[: shared.start()].strip(" -"):
            kept.append(line[: shared.start()].rstrip(" -"))
            said = True
            lines[index] = shared[1]
            continue
        end = _header_line(lines, index)
        if end:
            following = _next_line(lines, end)
            if following < len(lines) and _QUOTED.match(lines[following]):
                index, quoted, last = following, True, len(kept)
                continue
            if said:
                _drop_rule(kept)
                return kept, True, True
            kept += lines[index:end]  # on top, and what it quotes is not marked: nothing tells where the answer begins
            index = end
            continue
        if said and _header_block(lines, index):
            _drop_rule(kept)
            return kept, True, True
        said = said or bool(line.strip())
        kept.append(line)
        index += 1
    return kept, quoted, quoted and not any(item.strip() for item in kept[last:])


def _is_forward(line: str) -> bool:
    """Whether this line says that what follows is a forwarded mail."""
    if len(line) > 200 or not ("--" in line or line.rstrip()[-1:] in {":", "："}):
        return False
    core = line.strip(_FRAME).casefold()
    start = next((name for name in _FORWARDED if core.startswith(name)), "")
    return bool(start) and len(core) - len(start) <= 60


def _is_rule_with_words(line: str) -> bool:
    """``-----Original Message-----``, ``---- Ann wrote ----``."""
    core = line.strip(_FRAME)
    if not core or len(core) > 250:
        return False
    return core.casefold() in _ORIGINAL or (
        line.lstrip().startswith("---") and line.rstrip().endswith("---") and _SAID_LAST.search(core) is not None
    )


def _after_quote(lines: list[str], index: int) -> int:
    """The first line after the quoted ones that begin here. Links that a mail program broke belong to them."""
    while index < len(lines):
        if _QUOTED.match(lines[index]):
            index += 1
            continue
        broken = (
            lines[index].strip()
            and index + 1 < len(lines)
            and _QUOTED.match(lines[index + 1])
            and _WRAPPED.match(lines[index][:_LONGEST])
            and ("http" in lines[index] or "http" in lines[index - 1])
        )
        if not broken:
            return index
        index += 1
    return index


def _next_line(lines: list[str], index: int) -> int:
    stop = min(len(lines), index + 8)
    while index < stop and not lines[index].strip():
        index += 1
    return index


def _quote_follows(lines: list[str], index: int) -> bool:
    following = _next_line(lines, index)
    return following < len(lines) and _QUOTED.match(lines[following]) is not None


def _header_line(lines: list[str], index: int) -> int:
    """Where the line ``On ..., somebody wrote:`` that begins here ends, over up to six lines; 0 if there is none."""
    line = lines[index]
    if len(line) > _LONGEST or not line.strip():
        return 0
    if line.lstrip(" \t>*_")[:1] in {"-", "=", "‐", "–", "—"} and _is_rule_with_words(line):
        following = _next_line(lines, index + 1)
        below = 0 if following >= len(lines) or _is_rule(lines[following]) else _header_line(lines, following)
        return below or index + 1
    alone = _alone(lines, index)
    if alone:
        return alone
    if "@" in line and _ADDRESS_SAID.search(line) and _quote_follows(lines, index + 1):
        return index + 1
    if not _OPENER.match(line) or not (
        _DIGIT.search(line) or _DIGIT.search(lines[min(index + 1, len(lines) - 1)][:_LONGEST])
    ):
        return 0
    joined = ""
    for end in range(index, min(len(lines), index + _SPAN)):
        joined = f"{joined} {lines[end].strip()}" if joined else line.strip()
        if len(joined) > _LONGEST:
            return 0
        if end > index and _QUOTED.match(lines[end]) and not lines[end].strip(" >\t").lower().startswith("wrote"):
            return 0
        if not _WHEN.search(joined):
            continue
        if _SAID_LAST.search(joined, max(0, len(joined) - _ENDING)):
            return end + 1 if joined.endswith((":", "：")) else _said_further(lines, end, joined)
        if _SAID_WITHIN.search(joined) and (_ADDRESS.search(joined) or _quote_follows(lines, end + 1)):
            return end + 1
        dated = joined[:1].isdigit() and _ENDS_IN_ADDRESS.search(joined)
        if dated and (joined.endswith((":", "：")) or _quote_follows(lines, end + 1)):
            return end + 1
    return 0


def _said_further(lines: list[str], end: int, joined: str) -> int:
    """Where a line ends that has its verb and no colon yet: ``... schrieb`` and the name on the next lines."""
    for more in range(end + 1, min(len(lines), end + 3)):
        text = lines[more].strip()
        joined = f"{joined} {text}"
        if not text or _QUOTED.match(text) or len(joined) > _LONGEST:
            break
        if text.endswith((":", "：")) and _ADDRESS.search(joined):
            return more + 1
    return end + 1


def _alone(lines: list[str], index: int) -> int:
    """Where a paragraph of at most three lines ends that has a date, a time, an address and a colon at its end.

    Whatever the words between are: so begins a quote in the languages that stand in no list. 0 if there is none.
    """
    line = lines[index]
    if (index and lines[index - 1].strip()) or not _DIGIT.search(line):
        return 0
    joined = ""
    for end in range(index, min(len(lines), index + 3)):
        joined = f"{joined} {lines[end].strip()}" if joined else line.strip()
        plain = _MARKS.sub("", joined).rstrip(" *_")
        if len(joined) > 250 or not lines[end].strip() or _QUOTED.match(lines[end]):
            return 0
        if plain.endswith((":", "：")):
            whole = _IN_BRACKETS.search(plain) and _FULL_DATE.search(plain) and _TIME.search(plain)
            return end + 1 if whole else 0
    return 0


def _drop_attribution(kept: list[str]) -> None:
    """Take the line away that names whose words the quote is which begins now, where it is one beyond doubt."""
    end = len(kept)
    while end and not kept[end - 1].strip() and end > len(kept) - 3:
        end -= 1
    joined = ""
    for start in range(end - 1, max(-1, end - 4), -1):
        if not kept[start].strip() or len(kept[start]) > _LONGEST:
            return
        joined = f"{kept[start].strip()} {joined}".strip()
        if _is_attribution(_MARKS.sub("", joined).strip(" \t*_-‐–—"), one=start == end - 1):
            above = kept[start - 1].strip() if start else ""
            began = bool(above) and len(above) <= _LONGEST and bool(_OPENER.match(above) and _WHEN.search(above))
            del kept[start - 1 if began else start :]
            _drop_rule(kept)
            return


def _is_attribution(text: str, *, one: bool) -> bool:
    if len(text) > 250 or not text.endswith((":", "：")):
        return False
    if one and _QUOTING.match(text):
        return True
    said = _SAID.search(text) is not None
    if _ADDRESS.search(text):
        return said or _WHEN.search(text) is not None
    if said and _FULL_DATE.search(text) and _TIME.search(text):
        return True
    return one and _SAID_LAST.search(text) is not None and len(text.split()) <= 5


def _is_rule(line: str) -> bool:
    return len(line) <= 200 and _RULE_OF_QUOTE.match(line) is not None


def _drop_rule(kept: list[str]) -> None:
    """Take the rules away that stand between an answer and a quote, if anything else is left."""
    end = len(kept)
    if end > 1 and _DASHES.fullmatch(kept[-1][:200]):  # right above, as Outlook draws one
        end -= 1
    while end and (not kept[end - 1].strip() or _is_rule(kept[end - 1])):
        end -= 1
    if end:
        del kept[end:]


def _header_block(lines: list[str], index: int) -> bool:
    """Whether the header of a quoted mail begins here (From, Sent, To, Subject in any language), after a rule or not."""
    line = lines[index]
    start = line[:_NAMED].lstrip()
    if not start or len(line) > _LONGEST or not (":" in start or "：" in start or start[0] in "_-=*"):
        return False
    if _RULE.match(line):
        index = _next_line(lines, index + 1)
        if index >= len(lines):
            return False
    kinds: set[str] = set()
    matched = 0
    for position in range(index, min(len(lines), index + 10)):
        text = lines[position][:_LONGEST]
        kind = next((name for name, pattern in _FIELDS.items() if pattern.match(text)), "")
        if kind:
            kinds.add(kind)
            matched += 1
        elif position == index:
            return False
        elif not text.strip() and matched >= 2:
            break
    if "from" in kinds:
        return len(kinds) >= 2 and bool({"date", "to"} & kinds) and (matched >= 3 or "date" in kinds)
    return {"date", "to"} <= kinds and matched >= 2 and any("@" in text for text in lines[index : index + 4])


def _without_signature(lines: list[str]) -> list[str]:
    """The lines without what a mail program or a list put at the end, where something is left above it."""
    for _ in range(4):  # a signature above a list's footer
        shorter = _one_signature_less(lines)
        if len(shorter) == len(lines):
            break
        lines = shorter
    return lines


def _one_signature_less(lines: list[str]) -> list[str]:
    end = len(lines)
    while end and not lines[end - 1].strip():
        end -= 1
    first = next((index for index, text in enumerate(lines) if text.strip()), end)
    for index in range(max(first + 1, end - _MOST_SIGNATURE), end):
        tail = [line for line in lines[index + 1 : end] if line.strip()]
        if _SIGNATURE.match(lines[index]) and tail:
            return lines[:index]
        if (
            _LIST_FOOTER.match(lines[index])
            and 0 < len(tail) <= 6
            and any("@" in line or "://" in line for line in tail)
        ):
            return lines[:index]
    last = lines[end - 1].strip() if end - 2 > first else ""
    device = bool(last) and len(last) <= 90 and "," not in last and not last.endswith(".")
    if device and not lines[end - 2].strip() and words.DEVICE.fullmatch(last):
        return lines[: end - 1]
    return lines

"""SPF (RFC 7208), evaluated with pyspf where it can be stopped. Asks no DNS itself.

`check_spf` is given the answers that are known so far; where it needs one more it says which (`Wanted`), and is called again
with that one too. So the library needs no network, no thread and no clock, and each of its questions is counted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.mailauth.question import Answer, Question, RecordType

RESULTS: Final = frozenset({"pass", "fail", "softfail", "neutral", "none", "temperror", "permerror"})
MOST_QUESTIONS: Final = 60
"""DNS questions of one evaluation, MX and PTR targets included; the standard's own limit of ten mechanisms holds beside."""


@dataclass(frozen=True, slots=True)
class SpfResult:
    """The result, and the sentence of the library about an error."""

    result: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A question that must be answered before it can go on."""

    question: Question


class _Missing(BaseException):
    """No error: it must pass through the library's own handlers."""

    def __init__(self, question: Question) -> None:
        super().__init__(question)
        self.question = question


def check_spf(address: str, mail_from: str, helo: str, known: Mapping[Question, Answer]) -> SpfResult | Wanted:
    """Whether the client at ``address`` may send for the domain of MAIL FROM (of HELO, for the null sender).

    Runs in a child process.
    """
    import spf  # noqa: PLC0415 - an extra, and only the child that checks needs it

    def answer(name: str, kind: RecordType, *_: object) -> list[tuple[object, object]]:
        question: Question = (name.rstrip(".").lower(), kind)
        given = known.get(question)
        if given is None:
            raise _Missing(question)
        if given.failed:
            raise spf.TempError(f"no answer from DNS for {kind} of {name[:100]}")
        records: list[object]
        if kind == "TXT":
            records = [(text,) for text in given.texts]
        elif kind == "MX":
            records = list(given.exchanges)
        else:
            records = list(given.names)
        return [((name, kind), record) for record in records]

    before, spf.DNSLookup = spf.DNSLookup, answer
    try:
        query = spf.query(i=address, s=mail_from, h=helo, strict=True)
        query.get_explanation = lambda _spec: ""  # nobody reads it, and it would cost a question
        result, _, detail = query.check()
    except _Missing as missing:
        return Wanted(missing.question)
    except Exception as error:  # noqa: BLE001 - the library gives up in many ways; the record is at fault
        return SpfResult("permerror", f"{type(error).__name__}: {error}"[:200])
    finally:
        spf.DNSLookup = before
    said = detail[:200] if result in {"temperror", "permerror"} else ""
    return SpfResult(result if result in RESULTS else "permerror", said)

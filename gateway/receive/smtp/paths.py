"""What stands behind ``MAIL FROM:`` and ``RCPT TO:``: a path and parameters (RFC 5321, section 4.1.2). Pure.

Lenient where real senders are sloppy (a blank behind the colon, no angle brackets), strict where it matters: no control
characters, no 8-bit without SMTPUTF8, no source route, no parameter that was not offered.
"""

import re
from dataclasses import dataclass

_LONGEST_PATH = 512  # octets; RFC 5321 wants 256, RFC 6531 has longer characters
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_MOST_SIZE = 20  # digits, RFC 1870
_ARGUMENT = re.compile(r"\s*(?:<((?:[^<>\"]|\"(?:[^\"\\]|\\.)*\")*)>|([^\s<>]+))((?: +\S+)*)\s*", re.DOTALL)


class BadPath(Exception):
    """A command's argument is wrong; ``reply`` is the whole answer."""

    def __init__(self, reply: bytes) -> None:
        """``reply`` is without its line end."""
        super().__init__(reply)
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Path:
    """An address as the client wrote it, empty for the null sender, and the parameters behind it (upper-case names)."""

    address: str
    parameters: dict[str, str]


@dataclass(frozen=True, slots=True)
class Sender:
    """What ``MAIL FROM`` says. ``size`` is the declared size in octets, 0 if none was declared."""

    address: str
    size: int = 0
    eight_bit: bool = False
    utf8: bool = False


def parse_path(argument: bytes, keyword: bytes) -> Path:
    """Read ``FROM:<...> ...`` or ``TO:<...> ...``.

    Raises:
        BadPath: with the answer.
    """
    if argument[: len(keyword)].upper() != keyword:
        raise BadPath(b"501 5.5.4 Syntax: %b<address>" % keyword)
    try:
        text = argument[len(keyword) :].decode("utf-8")
    except UnicodeDecodeError:
        raise BadPath(b"553 5.6.7 The address is not UTF-8") from None
    match = _ARGUMENT.fullmatch(text) if len(text) <= 4 * _LONGEST_PATH else None
    if match is None:
        raise BadPath(b"501 5.5.4 Syntax: %b<address>" % keyword)
    address = match[1] if match[1] is not None else match[2]
    if len(address.encode()) > _LONGEST_PATH:
        raise BadPath(b"501 5.1.7 The address is too long")
    if _CONTROL.search(address):
        raise BadPath(b"501 5.1.7 The address holds a control character")
    parameters: dict[str, str] = {}
    for word in match[3].split():
        name, _, value = word.partition("=")
        if name.upper() in parameters:
            raise BadPath(b"501 5.5.4 A parameter stands twice")
        parameters[name.upper()] = value
    return Path(address, parameters)


def parse_sender(argument: bytes, most: int) -> Sender:
    """Read the argument of ``MAIL``; ``most`` is the largest message in octets.

    Raises:
        BadPath: with the answer.
    """
    path = parse_path(argument, b"FROM:")
    size, eight_bit, utf8 = 0, False, False
    for name, value in path.parameters.items():
        if name == "SIZE":
            if not (value.isascii() and value.isdigit() and len(value) <= _MOST_SIZE):
                raise BadPath(b"501 5.5.4 Syntax: SIZE=number")
            size = int(value)
        elif name == "BODY" and value.upper() in {"7BIT", "8BITMIME"}:
            eight_bit = value.upper() == "8BITMIME"
        elif name == "SMTPUTF8" and not value:
            utf8 = True
        elif name != "AUTH":  # RFC 4954, section 5: whoever offers AUTH takes it; nobody here trusts its value
            raise BadPath(b"555 5.5.4 Unknown parameter of MAIL")
    if size > most:
        raise BadPath(b"552 5.3.4 The message is too large; the most is %d octets" % most)
    _check_utf8(path.address, utf8=utf8)
    if path.address and ("@" not in path.address or path.address[0] == "@"):
        raise BadPath(b"501 5.1.7 The sender's address cannot be read")
    return Sender(path.address, size, eight_bit, utf8)


def parse_recipient(argument: bytes, *, utf8: bool) -> str:
    """Read the argument of ``RCPT``: an address as it was written; whether it is ours is another question.

    Raises:
        BadPath: with the answer.
    """
    path = parse_path(argument, b"TO:")
    if path.parameters:
        raise BadPath(b"555 5.5.4 Unknown parameter of RCPT")
    _check_utf8(path.address, utf8=utf8)
    return path.address


def _check_utf8(address: str, *, utf8: bool) -> None:
    if not utf8 and not address.isascii():
        raise BadPath(b"553 5.6.7 An address beyond ASCII needs SMTPUTF8")

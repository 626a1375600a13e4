"""Nagios' macros as they come in: names in any spelling, values that may be unresolved or escaped.

Source: Nagios Core manual, "Standard Macros in Nagios", and requests recorded from Nagios 4.4.6 and Icinga 2.13.6.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.model.json import JsonValue
from gateway.sources.payload import text_of

# `$_SERVICEQUEUE$`, `$HOSTADDRESS$`: a macro that Nagios did not know stays as its own text.
_UNRESOLVED = re.compile(r"\$[A-Za-z_][A-Za-z0-9_:]*\$")
_ESCAPED = re.compile(r"\\([n\\])")
_TYPE_NAME = re.compile(r"(.{0,32}?)NOTIFICATION_?TYPE", re.DOTALL)
_CUSTOM = re.compile(r"_(HOST|SERVICE|CONTACT)(.+)", re.DOTALL)
_ICINGA_CUSTOM = re.compile(r"_?(HOST|SERVICE)_VARS_(.+)", re.DOTALL)

# Icinga 2's runtime macros under Nagios' names, after the underscores are gone.
_ALIASES = {
    "SERVICENAME": "SERVICEDESC",
    "SERVICELASTSTATE": "LASTSERVICESTATE",
    "HOSTLASTSTATE": "LASTHOSTSTATE",
    "SERVICELASTSTATECHANGE": "LASTSERVICESTATECHANGE",
    "HOSTLASTSTATECHANGE": "LASTHOSTSTATECHANGE",
    "SERVICECHECKATTEMPT": "SERVICEATTEMPT",
    "HOSTCHECKATTEMPT": "HOSTATTEMPT",
    "ICINGATIMET": "TIMET",
    "ICINGALONGDATETIME": "LONGDATETIME",
    "USERNAME": "CONTACTNAME",
    "USEREMAIL": "CONTACTEMAIL",
}


@dataclass(frozen=True, slots=True)
class Macros:
    """The macros of one notification: upper-case names without prefix, only values that are there."""

    values: Mapping[str, str]
    custom: Mapping[str, str]

    def get(self, *names: str) -> str:
        """The first of the macros that has a value, else the empty text."""
        return next((self.values[name] for name in names if name in self.values), "")


def macros_of(fields: Mapping[str, JsonValue]) -> Macros:
    """The macros of a form or JSON object, whatever the spelling of their names.

    The prefix (``NAGIOS_`` of the environment, or a script's own) is what stands before ``NOTIFICATIONTYPE``.
    """
    upper = {name.upper(): value for name, value in fields.items()}
    prefix = next((match[1] for match in map(_TYPE_NAME.fullmatch, upper) if match), "")
    values: dict[str, str] = {}
    custom: dict[str, str] = {}
    for name, value in upper.items():
        text = text_of(value)
        if not text or _UNRESOLVED.fullmatch(text.strip()):
            continue
        bare = name[len(prefix) :] if prefix and name.startswith(prefix) else name.removeprefix("NAGIOS_")
        variable = _ICINGA_CUSTOM.fullmatch(bare) or _CUSTOM.fullmatch(bare)
        if variable:
            custom[f"_{variable[1]}{variable[2]}".lower()] = text
            continue
        plain = bare.replace("_", "")
        values.setdefault(_ALIASES.get(plain, plain), text)
    return Macros(values, custom)


def unescaped(text: str) -> str:
    r"""Long output as the plugin wrote it: Nagios writes a line break as ``\n`` and a back-slash as ``\\``, nothing else.

    Source: ``NAGIOS_LONGSERVICEOUTPUT`` and ``$LONGSERVICEOUTPUT$`` of Nagios 4.4.6, active and passive checks. The first
    line (``$SERVICEOUTPUT$``) and performance data are not escaped. A single back-slash before anything else stays.
    """
    return _ESCAPED.sub(lambda match: "\n" if match[1] == "n" else "\\", text)

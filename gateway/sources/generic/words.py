"""The words that generic senders use for severities and kinds. Other words need a `table` in the map."""

from gateway.model.event import Kind, Severity

_SEVERITY_WORDS = {
    Severity.INFO: "info information informational notice debug ok normal up none",
    Severity.WARNING: "warning warn low",
    Severity.MINOR: "minor average medium moderate",
    Severity.MAJOR: "major error err high severe",
    Severity.CRITICAL: "critical crit disaster fatal emergency emerg panic alert urgent down",
    Severity.UNKNOWN: "unknown",
}
_KIND_WORDS = {
    Kind.PROBLEM: "problem firing alerting alert triggered trigger open opened down failed failure critical",
    Kind.UPDATE: "update updated changed comment commented",
    Kind.RECOVERY: "recovery recovered resolved resolve ok up closed close cleared clear success",
    Kind.ACKNOWLEDGEMENT: "acknowledgement acknowledged acknowledge ack",
    Kind.CUSTOM: "custom",
    Kind.FLAPPING_START: "flapping_start flappingstart",
    Kind.FLAPPING_STOP: "flapping_stop flappingstop",
    Kind.DOWNTIME_START: "downtime_start downtimestart",
    Kind.DOWNTIME_END: "downtime_end downtimeend",
    Kind.DOWNTIME_CANCELLED: "downtime_cancelled downtimecancelled",
    Kind.INFORMATION: "information info notice",
    Kind.MESSAGE: "message request mail",
}

SEVERITIES = {word: severity for severity, words in _SEVERITY_WORDS.items() for word in words.split()}
KINDS = {word: kind for kind, words in _KIND_WORDS.items() for word in words.split()}
TRUE = {"true", "yes", "1", "on"}
FALSE = {"false", "no", "0", "off"}

"""Operators at the HTTP door: who bears which token."""

from gateway.config.models import Auth, Operator
from gateway.receive.auth import Checker, Claim

PLAIN = "operator"
"""The name of whoever bears the one token that has none."""


class Operators:
    """The tokens of `server.operator`; without the section nobody is an operator."""

    def __init__(self, settings: Operator | None) -> None:
        tokens = list(settings.tokens.items()) if settings else []
        if settings and settings.bearer is not None:
            tokens.append((PLAIN, settings.bearer))
        self._checkers = [(name, Checker(Auth(bearer=token))) for name, token in tokens]
        self.configured = bool(tokens)

    def who(self, claim: Claim) -> str:
        """The name of the token that a request bears, or the empty text; all are compared, whichever is right."""
        found = [name for name, checker in self._checkers if checker.proven(claim)]
        return found[0] if found else ""

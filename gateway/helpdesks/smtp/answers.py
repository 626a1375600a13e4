"""What a refusal or a lost conversation proves: the table of steps and codes (RFC 5321, 4.2; RFC 4954; RFC 3463)."""

from gateway.helpdesks.smtp.client import Lost, Refused, Step
from gateway.model.action import Outcome, OutcomeKind
from gateway.model.reasons import Reason

_OFFERS_NO_TLS = "a firewall may hide STARTTLS; `tls: none` would send tickets in the clear"
_HINTS = {
    Step.TLS: _OFFERS_NO_TLS,
    Step.AUTH: "check `auth`",
    Step.MAIL: "the mail server takes no mail from this sender; check `from` and `auth`",
    Step.RCPT: "the mail server takes no mail for this recipient; check `to`",
}


def of_refusal(refused: Refused, *, files: bool) -> Outcome:
    """The server said no, so the mail was not taken. ``files``: it has attachments, which may be why.

    What would hold for every mail is told as refused credentials: delivery then tries the rehearsal, and the queue
    stands still if that is refused as well; if it is not, the refusal concerns this one mail.
    """
    step, code, text = refused.step, refused.reply.code, refused.reply.text
    too_big = code == 552 or text.startswith(("5.3.4", "5.2.3"))
    if code == 530:
        return _outcome(OutcomeKind.AUTH_BROKEN, Reason.AUTH_BROKEN, refused, "the mail server wants TLS or a log-in")
    if code < 500:
        reason = Reason.RATE_LIMITED if step is Step.RCPT else Reason.HELPDESK_DOWN
        return _outcome(OutcomeKind.HELPDESK_DOWN, reason, refused)
    if step in {Step.GREETING, Step.HELLO} or (step is Step.RCPT and too_big):  # a mailbox that is full
        return _outcome(OutcomeKind.HELPDESK_DOWN, Reason.HELPDESK_DOWN, refused)
    if step in {Step.DATA, Step.TEXT} or too_big:
        return _outcome(
            OutcomeKind.REJECTED,
            Reason.REJECTED,
            refused,
            degrade=("attachments",) if files and step is not Step.DATA else (),
        )
    return _outcome(OutcomeKind.AUTH_BROKEN, Reason.AUTH_BROKEN, refused, _HINTS.get(step, ""))


def of_loss(lost: Lost) -> Outcome:
    """The conversation broke off: before the final dot nothing was taken, after it nobody knows."""
    if lost.dotted:
        return Outcome(OutcomeKind.UNKNOWN, Reason.UNKNOWN_OUTCOME, str(lost))
    return Outcome(OutcomeKind.NOT_SENT, Reason.NOT_SENT, str(lost))


def _outcome(
    kind: OutcomeKind, reason: Reason, refused: Refused, hint: str = "", degrade: tuple[str, ...] = ()
) -> Outcome:
    return Outcome(kind, reason, str(refused)[:600] + (f" ({hint})" if hint else ""), degrade=degrade)

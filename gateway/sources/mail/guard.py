"""What may hold a mail back before it reaches a helpdesk: too many on the same way, or one that goes in a circle.

Who counts, and against what:

| mail | per sender | per incident |
|---|---|---|
| an alert that is recognised (``mail.alert``), of any kind but ``message`` | no | no |
| a bounce, an automatic reply, our own mail: it never opens a ticket | no | yes |
| any other, whether a person or a machine wrote it | yes | yes |

An alert goes by its incident: five hundred mails an hour about one service are one ticket, and that is the night the
gateway is made for. What a machine writes that nobody recognises may be the other end of a loop: two helpdesks that
confirm each other's tickets write nothing but ``auto-generated``. A machine's mail and a person's from one address are
counted apart, so that nobody is shut out by his own vacation program.
"""

from typing import Final

from gateway.config.models import SourceSettings
from gateway.model.event import Event, Kind
from gateway.model.reasons import Reason
from gateway.model.receipt import Receipt
from gateway.sources.mail import trust
from gateway.sources.mail.identity import identity
from gateway.sources.mail.settings import MailSettings
from gateway.sources.protocol import Guard

HOPS: Final = "mail.hops"
"""Label with the number of ``Received`` headers of a mail that has more than `Loop.hops`."""
_NOTES: Final = frozenset({Kind.BOUNCE, Kind.UPDATE})


def guard(event: Event, receipt: Receipt, settings: SourceSettings) -> Guard | None:
    """What may hold this mail back; None if nothing does."""
    if not isinstance(settings, MailSettings):
        return None
    unverified = trust.held(event, settings)
    if unverified:
        return Guard(hold=Reason.SENDER_NOT_VERIFIED, detail=unverified)
    hops = event.labels.get(HOPS)
    if hops:
        told = f"it has {hops} Received headers, more than `loop.hops` ({settings.loop.hops}): it goes in a circle"
        return Guard(hold=Reason.QUARANTINED, detail=told)
    if "mail.alert" in event.labels and event.kind is not Kind.MESSAGE:
        return None
    who = identity(event.sender_address or receipt.envelope.get("mail_from", "")) or "<>"
    return Guard(
        sender=f"{who} (automatic)" if event.auto_generated else who,
        per_sender=settings.loop.per_sender if event.kind not in _NOTES else None,
        per_incident=settings.loop.per_incident,
        person=not event.auto_generated,
    )

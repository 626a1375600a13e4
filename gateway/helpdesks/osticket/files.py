"""Attachments: which of them go with the first request, and which follow it."""

from dataclasses import replace

from gateway.helpdesks.files import describe, file_name, listed, where
from gateway.helpdesks.osticket.text import with_notes
from gateway.model.action import AttachmentRef, TicketDraft
from gateway.model.reasons import Reason


def split(draft: TicketDraft, *, per_file: int, per_request: int) -> tuple[TicketDraft, ...]:
    """The draft with the files that fit, then quiet follow-ups with the others.

    ``per_file`` bounds each file of the first request, ``per_request`` all files of any request together (octets). A
    file above ``per_request`` goes nowhere; the ticket names it with size and digest.
    """
    first: list[AttachmentRef] = []
    later: list[list[AttachmentRef]] = []
    room, later_room = per_request, 0
    notes: list[str] = []
    reasons: list[Reason] = []
    for number, ref in enumerate(draft.attachments, 1):
        name = file_name(ref.filename, number)
        if ref.size > per_request:
            notes.append(f"Not attached, because it is too big: {describe(ref, name)}{where(ref)}")
            reasons.append(Reason.ATTACHMENT_TOO_BIG)
        elif ref.size <= min(per_file, room):
            first.append(ref)
            room -= ref.size
        else:
            notes.append(f"Follows in a message of its own: {name} ({ref.size} bytes)")
            reasons.append(Reason.ATTACHMENT_BY_MAIL)
            if ref.size > later_room:
                later.append([])
                later_room = per_request
            later[-1].append(ref)
            later_room -= ref.size
    if not notes:
        return (draft,)
    text, html = with_notes(draft.text, draft.html, tuple(notes))
    head = replace(
        draft,
        text=text,
        html=html,
        attachments=tuple(first),
        reasons=tuple(dict.fromkeys((*draft.reasons, *reasons))),
    )
    return head, *(_follow_up(draft, refs) for refs in later)


def _follow_up(draft: TicketDraft, refs: list[AttachmentRef]) -> TicketDraft:
    return TicketDraft(
        title=draft.title,
        text=f"Too big for the first message of this ticket:\n{listed(refs)}",
        attachments=tuple(refs),
        quiet=True,
        reasons=(Reason.ATTACHMENT_BY_MAIL,),
    )

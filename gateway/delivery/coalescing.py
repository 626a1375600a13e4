"""Follow-ups that wait behind each other, sent as one. Pure.

While a helpdesk is down or slow, the follow-ups of one ticket pile up. They then go out as a single article: their texts in
their order, each under its time and receipt, with all their files. What is more than a follow-up (a close, a reopening, a change
of fields, or what stands in for one of these) is never mixed with others, nor is a mail that hands on whom it answers.
"""

import html as markup
from dataclasses import replace
from datetime import UTC, datetime

from gateway.helpdesks.protocol import Connector
from gateway.journal.protocol import Merge
from gateway.model.action import Action, ActionKind, TicketDraft
from gateway.model.reasons import Reason

MOST_CHARACTERS = 60_000
"""Of text, and of HTML, that go out as one."""
MOST_FILES = 20
"""Files that go out as one."""
_ALONE = frozenset({Reason.CLOSE_UNSUPPORTED, Reason.REOPEN_UNSUPPORTED, Reason.UPDATE_UNSUPPORTED})
"""Reasons of follow-ups that stand in for something else."""


def merge_of(action: Action, connector: Connector) -> Merge | None:
    """What the attempt that is about to begin takes up of those behind it; None if nothing."""
    if action.kind is not ActionKind.APPEND or action.tries or action.resolve or not _may(action.draft):
        return None
    parts = [_Part.of(action.draft, action.queued_at, action.receipt)]
    merged, taken = action.draft, []
    for follower in action.behind:
        if not (_may(follower.draft) and _alike(action.draft, follower.draft)):
            break
        tried = [*parts, _Part.of(follower.draft, follower.queued_at, follower.receipt)]
        together = _together(action.draft, tried)
        if not _is_small(together) or connector.split(ActionKind.APPEND, together) != (together,):
            break
        parts, merged = tried, together
        taken.append(follower.id)
    return Merge(merged, tuple(taken)) if taken else None


class _Part:
    """One of several texts, with the line that stands above it."""

    __slots__ = ("draft", "head")

    def __init__(self, draft: TicketDraft, head: str) -> None:
        self.draft = draft
        self.head = head

    @classmethod
    def of(cls, draft: TicketDraft, at: float, receipt: str) -> "_Part":
        instant = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        return cls(draft, f"{instant}, receipt {receipt}" if receipt else instant)

    @property
    def text(self) -> str:
        return f"--- {self.head} ---\n\n{self.draft.text.strip()}\n"

    @property
    def html(self) -> str:
        body = self.draft.html or f"<p>{markup.escape(self.draft.text.strip()).replace(chr(10), '<br>')}</p>"
        return f'<p style="color:#555555">{markup.escape(self.head)}</p>\n{body}'


def _together(first: TicketDraft, parts: list[_Part]) -> TicketDraft:
    drafts = [part.draft for part in parts]
    return replace(
        first,
        text="\n".join(part.text for part in parts),
        html="\n<hr>\n".join(part.html for part in parts) if any(draft.html for draft in drafts) else "",
        attachments=tuple(file for draft in drafts for file in draft.attachments),
        quiet=all(draft.quiet for draft in drafts),
        reopen=any(draft.reopen for draft in drafts),
        reasons=tuple(dict.fromkeys(reason for draft in drafts for reason in draft.reasons)),
    )


def _may(draft: TicketDraft) -> bool:
    return not draft.alone and not draft.references and _ALONE.isdisjoint(draft.reasons)


def _alike(first: TicketDraft, other: TicketDraft) -> bool:
    """Whether nothing but their texts and files tells them apart (a field may say in whose name it is written)."""
    return (
        first.fields == other.fields
        and first.reopen == other.reopen
        and first.closed_by_hand == other.closed_by_hand  # what opens a closed ticket again, and what stays quiet
    )


def _is_small(draft: TicketDraft) -> bool:
    images = [file.content_id for file in draft.attachments if file.content_id]
    told_apart = len(set(images)) == len(images)  # the HTML of one must not show an image of another
    return (
        told_apart and max(len(draft.text), len(draft.html)) <= MOST_CHARACTERS and len(draft.attachments) <= MOST_FILES
    )

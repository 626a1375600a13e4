"""The closed list of reasons: every decision that is not the plain way has one of these.

The value is at once metric label, log field, filter and documentation entry (``docs/reasons.md`` is made from here).
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why something was done, not done, or done otherwise. ``explain()`` gives the sentence for people."""

    # What became of an event
    OPENED = "opened"
    REPEATED = "repeated"
    REPEAT_APPENDED = "repeat_appended"
    NOTED = "noted"
    NOTE_IGNORED = "note_ignored"
    RECOVERED = "recovered"
    MEMBER_RECOVERED = "member_recovered"
    MEMBER_JOINED = "member_joined"
    MEMBER_VANISHED = "member_vanished"
    RECOVERY_IGNORED = "recovery_ignored"
    RELAPSED = "relapsed"
    DUPLICATE = "duplicate"
    STALE = "stale"
    ORPHAN_RECOVERY = "orphan_recovery"
    ORPHAN_NOTE = "orphan_note"
    DROPPED_BY_RULE = "dropped_by_rule"
    UNROUTED = "unrouted"
    POISON = "poison"
    NO_INCIDENT = "no_incident"
    SILENCED = "silenced"
    UNCONFIRMED = "unconfirmed"
    CONFIRMED = "confirmed"
    NOT_CONFIRMED = "not_confirmed"
    RECOVERY_HELD = "recovery_held"
    BACK_WITHIN_HOLD = "back_within_hold"
    SEVERITY_RAISED = "severity_raised"
    ESCALATED = "escalated"
    EXPIRED = "expired"
    FORGOTTEN = "forgotten"
    SUPPRESSED = "suppressed"
    FLAPPING = "flapping"
    CALM = "calm"
    SHADOW_ENDED = "shadow_ended"
    STORM_BEGAN = "storm_began"
    JOINED_STORM = "joined_storm"
    STORM_TOLD = "storm_told"
    STORM_OVER = "storm_over"
    QUARANTINED = "quarantined"
    SPOOL_BROKEN = "spool_broken"
    SENDER_NOT_VERIFIED = "sender_not_verified"

    # What was done otherwise
    UNREADABLE = "unreadable"
    DUPLICATE_KEY_REUSED = "duplicate_key_reused"
    KEY_FIELD_MISSING = "key_field_missing"
    NOT_A_PARTICIPANT = "not_a_participant"
    THREAD_UNVERIFIED = "thread_unverified"
    THREAD_CLOSED = "thread_closed"
    TIME_WITHOUT_ZONE = "time_without_zone"
    LOOKUP_MISSING = "lookup_missing"
    RENDER_FAILED = "render_failed"
    CLOSE_UNSUPPORTED = "close_unsupported"
    REOPEN_UNSUPPORTED = "reopen_unsupported"
    UPDATE_UNSUPPORTED = "update_unsupported"
    MAIL_DEFAULTS = "mail_defaults"
    ATTACHMENT_BY_MAIL = "attachment_by_mail"
    ATTACHMENT_TOO_BIG = "attachment_too_big"
    FIELD_REFUSED = "field_refused"
    FELL_BACK = "fell_back"
    TICKET_MOVED = "ticket_moved"
    TICKET_REPLACED = "ticket_replaced"
    TICKET_GONE = "ticket_gone"
    TICKET_WAS_CLOSED = "ticket_was_closed"
    TOUCHED = "touched"
    CLOSED_BY_HAND = "closed_by_hand"
    OPENED_BY_HAND = "opened_by_hand"
    LOOK_UP_WEAKENED = "look_up_weakened"

    # What delivery did
    DELIVERED = "delivered"
    FOUND = "found"
    NOT_SENT = "not_sent"
    UNKNOWN_OUTCOME = "unknown_outcome"
    REJECTED = "rejected"
    HELPDESK_DOWN = "helpdesk_down"
    AUTH_BROKEN = "auth_broken"
    RATE_LIMITED = "rate_limited"
    INTERRUPTED = "interrupted"
    POSSIBLE_DUPLICATE = "possible_duplicate"
    TOO_OLD = "too_old"
    BLOCKED = "blocked"
    CREATE_DROPPED = "create_dropped"
    HELD_BY_BRAKE = "held_by_brake"
    RECOVERED_WHILE_HELD = "recovered_while_held"
    BRAKE = "brake"
    SHADOW = "shadow"
    NO_TICKET = "no_ticket"
    NOT_CONFIGURED = "not_configured"
    HELPDESK_CHANGED = "helpdesk_changed"
    COALESCED_INTO = "coalesced_into"

    # What a person did
    DROPPED_BY_OPERATOR = "dropped_by_operator"
    RETRIED_BY_OPERATOR = "retried_by_operator"
    REPLAYED = "replayed"
    DETACHED = "detached"

    def explain(self) -> str:
        """One sentence for people: what happened and, where there is something to do, the way out."""
        return _SENTENCES[self]


HELD = frozenset({Reason.QUARANTINED, Reason.SENDER_NOT_VERIFIED})
"""Reasons for which a receipt is held back though nothing is wrong with it; an operator's retry lets it through."""

_SENTENCES: dict[Reason, str] = {
    Reason.OPENED: "The event opened a new incident, which asks for a new ticket.",
    Reason.REPEATED: "The incident was open already; the event was counted and nothing was written to the ticket.",
    Reason.REPEAT_APPENDED: "It was open already; a follow-up was due (`repeat.append_every`), or its ticket had been taken away.",
    Reason.NOTED: "An answer, acknowledgement, comment, downtime or the like was added to the incident's ticket.",
    Reason.NOTE_IGNORED: "A note belongs to an open incident whose route says `notes: ignore`; nothing was written to the ticket.",
    Reason.RECOVERED: "Every member of the incident has recovered; the recovery policy of its route was applied.",
    Reason.MEMBER_RECOVERED: "One member of the incident recovered while others still have the problem.",
    Reason.MEMBER_JOINED: "A further alert of the group; its ticket is told once of all that the same delivery names.",
    Reason.MEMBER_VANISHED: "The delivery names every alert of its group, and not this one any more; it counts as recovered.",
    Reason.RECOVERY_IGNORED: "The incident recovered; its route says `recover: {action: none}`, so the ticket was left alone.",
    Reason.RELAPSED: "The problem came back within `reopen_within`, so the old ticket is used again.",
    Reason.DUPLICATE: "The same delivery was accepted before; the first one counts.",
    Reason.STALE: "The event is older than what is already known about this incident.",
    Reason.ORPHAN_RECOVERY: "A recovery came for which no incident is open; it is remembered for a day.",
    Reason.ORPHAN_NOTE: "A note came for which no incident is open; there is no ticket to add it to.",
    Reason.DROPPED_BY_RULE: "A route with a `drop` section matched.",
    Reason.UNROUTED: "No route matched. Add a route, or a `ticket` section under `unrouted`, then replay it.",
    Reason.POISON: "Processing failed three times. Read the error, mend the cause, then replay it.",
    Reason.NO_INCIDENT: "The route has no ticket section and drops nothing; the event was only recorded.",
    Reason.SILENCED: "An operator's silence matched (`ticket-gateway silence ls`); nothing was written to any ticket.",
    Reason.UNCONFIRMED: "The problem has not lasted for `confirm` yet; the ticket is made when it has.",
    Reason.CONFIRMED: "The problem has lasted for `confirm`, or somebody wrote about it; its ticket was asked for.",
    Reason.NOT_CONFIRMED: "The problem was over before it had lasted for `confirm`; no ticket was made.",
    Reason.RECOVERY_HELD: "The problem is over; the incident closes if that lasts for `recover.hold`.",
    Reason.BACK_WITHIN_HOLD: "The problem came back within `recover.hold`; the incident goes on as if it had not been away.",
    Reason.SEVERITY_RAISED: "The problem is worse than any time before; `escalate` says what its ticket is told.",
    Reason.ESCALATED: "Nobody has acknowledged the problem within `escalate.after`.",
    Reason.EXPIRED: "Nothing was heard of the open problem for `expire.after`.",
    Reason.FORGOTTEN: "Nothing was heard of it for `expire.after`; its ticket is left alone, the next problem makes a new one.",
    Reason.SUPPRESSED: "Its host is down (`suppressed_by: host`); its ticket is made if it lasts when the host is up again.",
    Reason.FLAPPING: "The problem comes and goes more often than `flap` allows; its ticket is told once, then left in peace.",
    Reason.CALM: "The problem has neither come nor gone for `flap.within`; it flaps no more.",
    Reason.SHADOW_ENDED: "Its incident began in shadow mode and has no ticket; the helpdesk is live now, so one was asked for.",
    Reason.STORM_BEGAN: "More tickets than `storm.limit` were asked for within `storm.within`; a digest tells of the rest.",
    Reason.JOINED_STORM: "A storm is on (`storm`): the incident has no ticket of its own, the storm's digest ticket tells of it.",
    Reason.STORM_TOLD: "The digest ticket of a storm was told what is new or has changed.",
    Reason.STORM_OVER: "All incidents of a storm have recovered; its digest ticket was told so, and closed where that can be.",
    Reason.QUARANTINED: "It came faster than the source's `loop` allows, or in a circle; it is kept. Retry lets it through.",
    Reason.SENDER_NOT_VERIFIED: "Its sender is not verified, and the source has `on_auth_fail`; it is kept. Retry lets it in.",
    Reason.SPOOL_BROKEN: "A file of the pipe's spool could not be read in three tries; its octets are kept as they are.",
    Reason.UNREADABLE: "The payload could not be read as its source kind promises; the original is attached to the ticket.",
    Reason.DUPLICATE_KEY_REUSED: "The sender used one delivery key for different bodies; the event was accepted as a new one.",
    Reason.KEY_FIELD_MISSING: "A field of the correlation key is empty; the sender's own key was used in its place.",
    Reason.NOT_A_PARTICIPANT: "The mail refers to a ticket in which its sender takes no part; it was not added there.",
    Reason.THREAD_UNVERIFIED: "The mail refers to a ticket, but the check of its sender failed; it was not added there.",
    Reason.THREAD_CLOSED: "The mail refers to a ticket that takes no more (`reopen_within`); it was not added there.",
    Reason.TIME_WITHOUT_ZONE: "The sender's time bears no zone and the source has no `timezone`; the order of receipt counts.",
    Reason.LOOKUP_MISSING: "A look-up that the route needs has no row for the event; add one, or a `default`.",
    Reason.RENDER_FAILED: "A ticket template failed; the built-in plain template was used.",
    Reason.CLOSE_UNSUPPORTED: "This helpdesk closes nothing over its API; a quiet follow-up says that the problem is over.",
    Reason.REOPEN_UNSUPPORTED: "This helpdesk has no call to reopen; a follow-up that reopens the ticket was sent.",
    Reason.UPDATE_UNSUPPORTED: "This helpdesk changes no fields of a ticket; a follow-up says what changed.",
    Reason.MAIL_DEFAULTS: "The ticket had to be made by mail, so topic, priority and custom fields are the mailbox's defaults.",
    Reason.ATTACHMENT_BY_MAIL: "An attachment is over the limit of the JSON call and follows by mail.",
    Reason.ATTACHMENT_TOO_BIG: "An attachment is larger than the helpdesk takes; the ticket names it, its size and its digest.",
    Reason.FIELD_REFUSED: "The helpdesk refused a field; the ticket was made without it and says so.",
    Reason.FELL_BACK: "The helpdesk refused the ticket, or did not take it for `fallback.after`; a fallback gets it instead.",
    Reason.TICKET_MOVED: "The helpdesk put the follow-up into another ticket; the incident follows it there.",
    Reason.TICKET_REPLACED: "The incident's ticket is gone, or was closed by hand; a new one was made in its place.",
    Reason.TICKET_GONE: "The incident's ticket was deleted in the helpdesk; there was nothing left to close or change.",
    Reason.TICKET_WAS_CLOSED: "The ticket was closed when the follow-up came; it was added and stays closed.",
    Reason.TOUCHED: "A person has worked on the ticket: nobody is reminded of it, and `recover.only_if_untouched` leaves it open.",
    Reason.OPENED_BY_HAND: "A person opened the ticket again that a person had closed while the problem lasts.",
    Reason.CLOSED_BY_HAND: "A person closed the ticket while the problem lasts; its rule's `closed_by_hand` was applied.",
    Reason.LOOK_UP_WEAKENED: "The helpdesk did not find again what it had just made; doubtful calls are settled in a weaker way.",
    Reason.DELIVERED: "The helpdesk took the action.",
    Reason.FOUND: "The outcome was unknown, and the look-up found the action in the helpdesk.",
    Reason.NOT_SENT: "The helpdesk could not be reached; nothing was written and the action is tried again.",
    Reason.UNKNOWN_OUTCOME: "It is not known whether the helpdesk wrote the action; it is looked up before anything is sent again.",
    Reason.REJECTED: "The helpdesk refused the action for good. Read its answer, mend the cause, then retry the dead letter.",
    Reason.HELPDESK_DOWN: "The helpdesk says that it cannot work now; the action is tried again.",
    Reason.AUTH_BROKEN: "The helpdesk refuses our credentials. Its queue waits; mend the key or the address it is bound to.",
    Reason.RATE_LIMITED: "The helpdesk asked us to wait.",
    Reason.INTERRUPTED: "The gateway stopped between intent and record; the outcome is looked up.",
    Reason.POSSIBLE_DUPLICATE: "The action was sent again without proof that the first call wrote nothing.",
    Reason.TOO_OLD: "The action waited longer than `limits.max_age`. Retry the dead letter when the helpdesk is well.",
    Reason.BLOCKED: "An earlier create of this incident is a dead letter; retry or drop that one.",
    Reason.CREATE_DROPPED: "The create of this incident was dropped by an operator, so its followers ended with it.",
    Reason.HELD_BY_BRAKE: "More tickets were due than `limits.creates` allows; it waits. `helpdesk release` lets it go.",
    Reason.RECOVERED_WHILE_HELD: "The problem was over before the brake let its ticket go; none was made.",
    Reason.BRAKE: "The brake tells people in a ticket of its own that creates wait, or that they wait no more.",
    Reason.SHADOW: "The helpdesk is in shadow mode (`mode: shadow`): this is what would have been done; no call was made.",
    Reason.NO_TICKET: "The ticket of its incident was never made (shadow mode, say), so there was nothing to write to.",
    Reason.NOT_CONFIGURED: "The helpdesk of this action is not in the configuration any more; the action waits.",
    Reason.HELPDESK_CHANGED: "The helpdesk of this name is another one now; its old tickets are not written to.",
    Reason.COALESCED_INTO: "It waited behind another follow-up of its ticket and was sent as a part of that one, text and files.",
    Reason.DROPPED_BY_OPERATOR: "An operator dropped the dead letter.",
    Reason.RETRIED_BY_OPERATOR: "An operator sent the dead letter on its way again.",
    Reason.REPLAYED: "An operator had the receipt processed again.",
    Reason.DETACHED: "The incident was taken off its ticket; the next problem opens a new one.",
}

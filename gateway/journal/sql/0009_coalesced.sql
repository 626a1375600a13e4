-- The follow-up that this one was sent as a part of.
ALTER TABLE action ADD COLUMN coalesced_into TEXT NOT NULL DEFAULT '';

-- By whose word a helpdesk's queue stands still; empty: it refuses our credentials.
ALTER TABLE helpdesk ADD COLUMN paused_by TEXT NOT NULL DEFAULT '';

-- When a create that counts against its helpdesk's brake was called first; NULL once it is proven that nothing was written.
ALTER TABLE action ADD COLUMN begun_at REAL;
CREATE INDEX action_begun ON action (helpdesk, begun_at) WHERE begun_at IS NOT NULL;
CREATE INDEX action_held ON action (helpdesk) WHERE reason = 'held_by_brake' AND status = 'queued';
-- Since when creates are held back, and up to when those that were queued go out all the same.
ALTER TABLE helpdesk ADD COLUMN braking_since REAL;
ALTER TABLE helpdesk ADD COLUMN free_until REAL NOT NULL DEFAULT 0;

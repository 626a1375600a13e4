-- What is done in an action's place at other helpdesks (JSON), and after how many seconds a create may fall back to the first.
ALTER TABLE action ADD COLUMN elsewhere BLOB;
ALTER TABLE action ADD COLUMN falls_back_after REAL;
CREATE INDEX action_falls_back ON action (helpdesk, queued_at) WHERE falls_back_after IS NOT NULL AND status = 'queued';

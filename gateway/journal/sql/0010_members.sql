-- What a ticket tells of each member, and the sender's group in which it came.
ALTER TABLE member ADD COLUMN title TEXT NOT NULL DEFAULT '';
ALTER TABLE member ADD COLUMN host TEXT NOT NULL DEFAULT '';
ALTER TABLE member ADD COLUMN service TEXT NOT NULL DEFAULT '';
ALTER TABLE member ADD COLUMN severity TEXT NOT NULL DEFAULT 'unknown';
ALTER TABLE member ADD COLUMN grouped_by TEXT NOT NULL DEFAULT '';

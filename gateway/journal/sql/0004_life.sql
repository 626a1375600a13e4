-- The life of an incident beyond open and closed: what is due later, and what has been told (JSON, by the words of the model).
ALTER TABLE incident ADD COLUMN life TEXT NOT NULL DEFAULT '{}';
-- The action that a timer keeps until it fires.
ALTER TABLE timer ADD COLUMN held BLOB;

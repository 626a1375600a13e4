-- What a person did to an incident's ticket, as far as known (`touch` is empty: nothing), and when the ticket was last looked
-- at. They are written by delivery and by who watches the helpdesk, as `ticket` is, and have no part in `version`.
ALTER TABLE incident ADD COLUMN touch TEXT NOT NULL DEFAULT '';
ALTER TABLE incident ADD COLUMN touched_at REAL NOT NULL DEFAULT 0;
ALTER TABLE incident ADD COLUMN looked_at REAL NOT NULL DEFAULT 0;
CREATE INDEX incident_looked ON incident (helpdesk, looked_at) WHERE state != 'closed' AND ticket IS NOT NULL;
CREATE INDEX incident_ticket_id ON incident (json_extract(ticket, '$.id')) WHERE state != 'closed' AND ticket IS NOT NULL;

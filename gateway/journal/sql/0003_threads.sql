-- By what an answer by mail finds its incident. Written for mails only.

-- The mails that an incident took in. `number` orders them: of one incident only the newest are kept.
CREATE TABLE mail (
    number     INTEGER PRIMARY KEY,
    source     TEXT NOT NULL,
    message_id TEXT NOT NULL,
    incident   TEXT NOT NULL,
    UNIQUE (source, message_id, incident)
);
CREATE INDEX mail_incident ON mail (incident);

-- Who takes part in an incident: addresses in the form in which they are compared.
CREATE TABLE participant (
    incident TEXT NOT NULL,
    address  TEXT NOT NULL,
    PRIMARY KEY (incident, address)
) WITHOUT ROWID;

-- By the number that people see. `ticket` is written by delivery alone, so correlation does not touch this index.
CREATE INDEX incident_ticket_number ON incident (json_extract(ticket, '$.number')) WHERE ticket IS NOT NULL;

-- What earlier versions knew without these tables. The To of old mails is left out: it may name our own mailboxes.
INSERT OR IGNORE INTO mail (source, message_id, incident)
SELECT receipt.source, json_extract(CAST(event.content AS TEXT), '$.message_id'), event.incident
FROM event JOIN receipt ON receipt.id = event.receipt
WHERE event.incident != '' AND coalesce(json_extract(CAST(event.content AS TEXT), '$.message_id'), '') != ''
ORDER BY event.number;
INSERT OR IGNORE INTO participant (incident, address)
SELECT event.incident, lower(json_extract(CAST(event.content AS TEXT), '$.sender_address'))
FROM event
WHERE event.incident != '' AND event.kind != 'bounce'
    AND coalesce(json_extract(CAST(event.content AS TEXT), '$.message_id'), '') != ''
    AND coalesce(json_extract(CAST(event.content AS TEXT), '$.sender_address'), '') LIKE '%@%';
INSERT OR IGNORE INTO participant (incident, address)
SELECT event.incident, lower(other.value)
FROM event, json_each(CAST(event.content AS TEXT), '$.cc') AS other
WHERE event.incident != '' AND event.kind != 'bounce'
    AND coalesce(json_extract(CAST(event.content AS TEXT), '$.message_id'), '') != '' AND other.value LIKE '%@%';

-- What the sandbox helpdesks hold. One file for all of them; `helpdesk` is the double's name.
CREATE TABLE IF NOT EXISTS ticket (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    helpdesk    TEXT NOT NULL,
    number      TEXT NOT NULL,
    subject     TEXT NOT NULL,
    owner       INTEGER NOT NULL,
    requester   TEXT NOT NULL,
    address     TEXT NOT NULL,
    status      TEXT NOT NULL,
    priority    TEXT NOT NULL,
    topic       TEXT NOT NULL,
    department  TEXT NOT NULL,
    assignee    TEXT NOT NULL,
    source      TEXT NOT NULL,
    ip          TEXT NOT NULL,
    fields      TEXT NOT NULL,
    created     REAL NOT NULL,
    updated     REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS ticket_number ON ticket (number);
CREATE INDEX IF NOT EXISTS ticket_owner ON ticket (owner, status);

CREATE TABLE IF NOT EXISTS entry (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    ticket      INTEGER NOT NULL REFERENCES ticket (id) ON DELETE CASCADE,
    kind        TEXT NOT NULL,
    poster      TEXT NOT NULL,
    title       TEXT,
    body        TEXT NOT NULL,
    format      TEXT NOT NULL,
    message_id  TEXT,
    created     REAL NOT NULL,
    details     TEXT NOT NULL DEFAULT '{}'
);
CREATE INDEX IF NOT EXISTS entry_ticket ON entry (ticket);
CREATE INDEX IF NOT EXISTS entry_message_id ON entry (message_id COLLATE NOCASE) WHERE message_id IS NOT NULL;

CREATE TABLE IF NOT EXISTS attachment (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    entry       INTEGER NOT NULL REFERENCES entry (id) ON DELETE CASCADE,
    filename    TEXT NOT NULL,
    media_type  TEXT NOT NULL,
    size        INTEGER NOT NULL,
    inline      INTEGER NOT NULL,
    content_id  TEXT NOT NULL,
    sha256      TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS attachment_entry ON attachment (entry);

-- Contents are shared between attachments, as the helpdesk does it.
CREATE TABLE IF NOT EXISTS content (
    sha256      TEXT PRIMARY KEY,
    data        BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS event (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    ticket      INTEGER NOT NULL REFERENCES ticket (id) ON DELETE CASCADE,
    kind        TEXT NOT NULL,
    detail      TEXT NOT NULL,
    created     REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS event_ticket ON event (ticket);

-- Mails that the helpdesk would have sent.
CREATE TABLE IF NOT EXISTS mail (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    ticket      INTEGER NOT NULL REFERENCES ticket (id) ON DELETE CASCADE,
    recipient   TEXT NOT NULL,
    subject     TEXT NOT NULL,
    message_id  TEXT NOT NULL,
    created     REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS mail_ticket ON mail (ticket);
CREATE INDEX IF NOT EXISTS mail_message_id ON mail (message_id);

CREATE TABLE IF NOT EXISTS person (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    helpdesk    TEXT NOT NULL,
    name        TEXT NOT NULL,
    phone       TEXT NOT NULL,
    notes       TEXT NOT NULL
);

-- Who an address belongs to. A person that lost its address to a later one stays as the owner of its tickets.
CREATE TABLE IF NOT EXISTS address (
    helpdesk    TEXT NOT NULL,
    address     TEXT NOT NULL,
    person      INTEGER NOT NULL REFERENCES person (id),
    PRIMARY KEY (helpdesk, address)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS system_log (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    helpdesk    TEXT NOT NULL,
    level       TEXT NOT NULL,
    title       TEXT NOT NULL,
    detail      TEXT NOT NULL,
    created     REAL NOT NULL
);

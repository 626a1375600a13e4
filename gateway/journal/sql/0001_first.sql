-- The first schema. Instants are seconds since the epoch (REAL), lists and maps are JSON texts.
-- Indexes that working queries use are partial over unfinished rows, so that finished ones cost them nothing.

CREATE TABLE receipt (
    sequence     INTEGER PRIMARY KEY,
    id           TEXT NOT NULL UNIQUE,
    source       TEXT NOT NULL,
    received_at  REAL NOT NULL,
    status       TEXT NOT NULL,
    tries        INTEGER NOT NULL,
    size         INTEGER NOT NULL,
    content_type TEXT NOT NULL,
    headers      TEXT NOT NULL,
    envelope     TEXT NOT NULL,
    peer         TEXT NOT NULL,
    warnings     TEXT NOT NULL,
    reason       TEXT,
    detail       TEXT NOT NULL DEFAULT ''
);
CREATE INDEX receipt_waiting ON receipt (sequence, received_at) WHERE status = 'accepted';
CREATE INDEX receipt_dead ON receipt (sequence) WHERE status = 'dead';

-- Apart from the receipt, so that a change of its status does not rewrite its bytes. Either content or file is set.
CREATE TABLE body (
    sequence INTEGER PRIMARY KEY,
    content  BLOB,
    file     TEXT
);
CREATE INDEX body_file ON body (file) WHERE file IS NOT NULL;

-- By which a repeated delivery is known before it is parsed. The digest of the body is part of the key: one key with
-- two bodies is two deliveries. `key` is a hash of source and key: these rows are written at random places on the intake
-- path, so that their size is what a large table costs.
CREATE TABLE duplicate (
    key        BLOB NOT NULL,
    digest     BLOB NOT NULL,
    receipt    TEXT NOT NULL,
    expires_at REAL NOT NULL,
    PRIMARY KEY (key, digest)
) WITHOUT ROWID;
CREATE INDEX duplicate_expires ON duplicate (expires_at);

-- By which a repeated delivery is known after it is parsed.
CREATE TABLE event_duplicate (
    source  TEXT NOT NULL,
    key     TEXT NOT NULL,
    receipt TEXT NOT NULL,
    event   INTEGER NOT NULL,
    seen_at REAL NOT NULL,
    PRIMARY KEY (source, key)
) WITHOUT ROWID;
CREATE INDEX event_duplicate_seen ON event_duplicate (seen_at);
CREATE INDEX event_duplicate_receipt ON event_duplicate (receipt);

CREATE TABLE event (
    number            INTEGER PRIMARY KEY,
    receipt           TEXT NOT NULL,
    event             INTEGER NOT NULL,
    kind              TEXT NOT NULL,
    title             TEXT NOT NULL,
    reason            TEXT NOT NULL,
    route             TEXT NOT NULL,
    incident          TEXT NOT NULL,
    duplicate_receipt TEXT,
    duplicate_event   INTEGER,
    content           BLOB NOT NULL,
    decision          BLOB NOT NULL,
    UNIQUE (receipt, event)
);

CREATE TABLE attachment (
    receipt  TEXT NOT NULL,
    event    INTEGER NOT NULL,
    position INTEGER NOT NULL,
    sha256   TEXT NOT NULL,
    content  BLOB,
    file     TEXT,
    PRIMARY KEY (receipt, event, position)
);
CREATE INDEX attachment_file ON attachment (file) WHERE file IS NOT NULL;

-- `ticket` is written by delivery alone and has no part in `version`.
CREATE TABLE incident (
    id               TEXT PRIMARY KEY,
    key              TEXT NOT NULL,
    state            TEXT NOT NULL,
    version          INTEGER NOT NULL,
    route            TEXT NOT NULL,
    helpdesk         TEXT NOT NULL,
    plan             TEXT NOT NULL,
    severity         TEXT NOT NULL,
    title            TEXT NOT NULL,
    host             TEXT NOT NULL,
    service          TEXT NOT NULL,
    occurrences      INTEGER NOT NULL,
    sequence         INTEGER NOT NULL,
    opened_at        REAL NOT NULL,
    last_event_at    REAL NOT NULL,
    last_appended_at REAL NOT NULL,
    closed_at        REAL,
    reasons          TEXT NOT NULL,
    ticket           TEXT
);
CREATE UNIQUE INDEX incident_open ON incident (key) WHERE state != 'closed';
CREATE INDEX incident_key ON incident (key, closed_at);
CREATE INDEX incident_closed ON incident (closed_at) WHERE state = 'closed';

-- `open` repeats whether the incident is not closed, for the index.
CREATE TABLE member (
    incident        TEXT NOT NULL,
    position        INTEGER NOT NULL,
    source          TEXT NOT NULL,
    origin_key      TEXT NOT NULL,
    in_problem      INTEGER NOT NULL,
    problem_id      TEXT NOT NULL,
    last_problem_at REAL NOT NULL,
    recovered_at    REAL NOT NULL,
    clock           INTEGER NOT NULL,
    open            INTEGER NOT NULL,
    PRIMARY KEY (incident, position)
) WITHOUT ROWID;
CREATE INDEX member_open ON member (source, origin_key) WHERE open = 1;

CREATE TABLE tombstone (
    key        TEXT NOT NULL,
    origin_key TEXT NOT NULL,
    problem_id TEXT NOT NULL,
    at         REAL NOT NULL,
    clock      INTEGER NOT NULL,
    expires_at REAL NOT NULL,
    PRIMARY KEY (key, origin_key, problem_id)
) WITHOUT ROWID;
CREATE INDEX tombstone_expires ON tombstone (expires_at);

CREATE TABLE plan (
    digest  TEXT PRIMARY KEY,
    content BLOB NOT NULL
) WITHOUT ROWID;

-- `unresolved`: the outcome of the last attempt is not known. `paused_before` moves the start of the action's age.
CREATE TABLE action (
    number        INTEGER PRIMARY KEY,
    id            TEXT NOT NULL UNIQUE,
    marker        TEXT NOT NULL UNIQUE,
    incident      TEXT NOT NULL,
    helpdesk      TEXT NOT NULL,
    kind          TEXT NOT NULL,
    cause         TEXT NOT NULL,
    receipt       TEXT NOT NULL,
    route         TEXT NOT NULL,
    ordinal       INTEGER NOT NULL,
    sequence      INTEGER NOT NULL,
    requester     TEXT NOT NULL,
    title         TEXT NOT NULL,
    draft         BLOB NOT NULL,
    queued_at     REAL NOT NULL,
    paused_before REAL NOT NULL,
    not_before    REAL NOT NULL,
    resolve_at    REAL NOT NULL DEFAULT 0,
    dead_at       REAL,
    status        TEXT NOT NULL,
    fence         INTEGER NOT NULL DEFAULT 0,
    tries         INTEGER NOT NULL DEFAULT 0,
    unresolved    INTEGER NOT NULL DEFAULT 0,
    reason        TEXT NOT NULL,
    detail        TEXT NOT NULL DEFAULT '',
    flags         TEXT NOT NULL DEFAULT '[]',
    degraded      TEXT NOT NULL DEFAULT '[]'
);
CREATE INDEX action_due ON action (helpdesk, not_before, number, kind, requester)
    WHERE status IN ('queued', 'unknown');
CREATE INDEX action_running ON action (helpdesk, kind, requester) WHERE status IN ('in_flight', 'unknown');
CREATE UNIQUE INDEX action_active ON action (incident, helpdesk) WHERE status IN ('queued', 'in_flight', 'unknown');
CREATE INDEX action_open ON action (helpdesk, status, queued_at)
    WHERE status IN ('waiting', 'queued', 'in_flight', 'unknown', 'blocked', 'dead');
CREATE INDEX action_incident ON action (incident, helpdesk, sequence);
CREATE INDEX action_receipt ON action (receipt);

CREATE TABLE request (
    action  TEXT PRIMARY KEY,
    content BLOB,
    file    TEXT
);
CREATE INDEX request_file ON request (file) WHERE file IS NOT NULL;

CREATE TABLE attempt (
    action      TEXT NOT NULL,
    number      INTEGER NOT NULL,
    started_at  REAL NOT NULL,
    deadline    REAL NOT NULL,
    finished_at REAL,
    outcome     TEXT NOT NULL DEFAULT '',
    reason      TEXT NOT NULL DEFAULT '',
    detail      TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (action, number)
) WITHOUT ROWID;

CREATE TABLE timer (
    id       TEXT PRIMARY KEY,
    incident TEXT NOT NULL,
    kind     TEXT NOT NULL,
    due_at   REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX timer_due ON timer (due_at);
CREATE INDEX timer_incident ON timer (incident);

CREATE TABLE history (
    number   INTEGER PRIMARY KEY,
    at       REAL NOT NULL,
    what     TEXT NOT NULL,
    reason   TEXT,
    detail   TEXT NOT NULL,
    receipt  TEXT NOT NULL,
    event    INTEGER,
    incident TEXT NOT NULL,
    action   TEXT NOT NULL
);
CREATE INDEX history_receipt ON history (receipt) WHERE receipt != '';
CREATE INDEX history_incident ON history (incident) WHERE incident != '';
CREATE INDEX history_action ON history (action) WHERE action != '';

CREATE TABLE helpdesk (
    name          TEXT PRIMARY KEY,
    fingerprint   TEXT NOT NULL,
    paused_since  REAL,
    paused_reason TEXT NOT NULL,
    paused_total  REAL NOT NULL
) WITHOUT ROWID;

-- Requesters for whom a create was delivered: their accounts exist.
CREATE TABLE requester (
    helpdesk  TEXT NOT NULL,
    requester TEXT NOT NULL,
    PRIMARY KEY (helpdesk, requester)
) WITHOUT ROWID;

-- What is counted before a storm, and which incidents the digest of one tells of. Few rows: one per group, and per incident.
CREATE TABLE storm (
    key        TEXT PRIMARY KEY,
    version    INTEGER NOT NULL,
    opened     TEXT NOT NULL,
    digest     TEXT NOT NULL,
    last_at    REAL NOT NULL,
    expires_at REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX storm_expires ON storm (expires_at);

-- `told` is what the digest has said of the incident by now; empty: nothing yet.
CREATE TABLE storm_member (
    digest    TEXT NOT NULL,
    incident  TEXT NOT NULL,
    receipt   TEXT NOT NULL,
    joined_at REAL NOT NULL,
    told      TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (digest, incident)
) WITHOUT ROWID;
CREATE INDEX storm_member_incident ON storm_member (incident);

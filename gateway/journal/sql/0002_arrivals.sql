-- What counted against a rate, by whom or in which incident: the newest few of each key, so that rates survive a restart.
CREATE TABLE arrival (
    key        TEXT NOT NULL,
    receipt    TEXT NOT NULL,
    at         REAL NOT NULL,
    held       INTEGER NOT NULL,
    expires_at REAL NOT NULL,
    PRIMARY KEY (key, receipt)
) WITHOUT ROWID;
CREATE INDEX arrival_expires ON arrival (expires_at);

-- What operators do not want tickets of for a while. `content` is the match (JSON). Few, so that no index is needed.
CREATE TABLE silence (
    id        TEXT PRIMARY KEY,
    content   TEXT NOT NULL,
    starts_at REAL NOT NULL,
    ends_at   REAL NOT NULL,
    author    TEXT NOT NULL,
    comment   TEXT NOT NULL,
    made_at   REAL NOT NULL
) WITHOUT ROWID;

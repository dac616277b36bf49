-- The first schema of the embedded store. Migrations are never edited, only added.

-- Documents. `no` is what index entries point to, so that a key is stored once per entry at most.
CREATE TABLE documents (
    no         INTEGER PRIMARY KEY,
    kind       TEXT    NOT NULL,
    id         TEXT    NOT NULL,
    body       BLOB    NOT NULL,
    expires_at INTEGER,             -- NULL: lives for ever
    UNIQUE (kind, id)
) STRICT;
CREATE INDEX documents_by_expiry ON documents (expires_at) WHERE expires_at IS NOT NULL;

-- One row per index that has entries; `entries` is their number, so that a count reads one row.
-- It includes documents whose life has ended until they are removed.
CREATE TABLE indexes (
    no      INTEGER PRIMARY KEY,
    name    TEXT    NOT NULL UNIQUE,
    entries INTEGER NOT NULL
) STRICT;

CREATE TABLE index_entries (
    index_no INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    id       TEXT    NOT NULL,
    document INTEGER NOT NULL,
    PRIMARY KEY (index_no, at, id, document)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX index_entries_by_document ON index_entries (document, index_no);

-- Ready to be taken, in this order. The front of a queue grows downwards, its back upwards.
CREATE TABLE ready (
    queue    INTEGER NOT NULL,      -- Queue::rank
    position INTEGER NOT NULL,
    payload  BLOB    NOT NULL,
    crashes  INTEGER NOT NULL,
    PRIMARY KEY (queue, position)
) STRICT, WITHOUT ROWID;

-- Waiting for their time.
CREATE TABLE due (
    no      INTEGER PRIMARY KEY,
    due_at  INTEGER NOT NULL,
    queue   INTEGER NOT NULL,
    payload BLOB    NOT NULL
) STRICT;
CREATE INDEX due_by_time ON due (due_at, no);

-- Held by a worker: the one structure that says "running". AUTOINCREMENT never gives a token twice.
CREATE TABLE leases (
    token      INTEGER PRIMARY KEY AUTOINCREMENT,
    queue      INTEGER NOT NULL,
    payload    BLOB    NOT NULL,
    crashes    INTEGER NOT NULL,
    worker     TEXT    NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX leases_by_expiry ON leases (expires_at, token);

-- How many stand in each place: 0, 1, 2 ready by rank, 3 due, 4 leased.
CREATE TABLE depths (
    place  INTEGER PRIMARY KEY,
    amount INTEGER NOT NULL
) STRICT;
INSERT INTO depths (place, amount) VALUES (0, 0), (1, 0), (2, 0), (3, 0), (4, 0);

-- AUTOINCREMENT: ids go on rising when old events are dropped.
CREATE TABLE events (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    stream TEXT    NOT NULL,
    at     INTEGER NOT NULL,
    body   BLOB    NOT NULL
) STRICT;
CREATE INDEX events_by_stream ON events (stream, id);

-- One row per stream that has events: what retention goes by.
CREATE TABLE streams (
    stream   TEXT    PRIMARY KEY,
    appended INTEGER NOT NULL,      -- ever since the row is there
    last_id  INTEGER NOT NULL,
    last_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX streams_by_last_id ON streams (last_id);

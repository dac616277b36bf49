-- Queues that are paused, claims that leases hold, and payloads that are parked until a claim is free.

CREATE TABLE paused (
    queue INTEGER PRIMARY KEY       -- Queue::rank
) STRICT;

-- One row per name that a lease holds or a payload is parked for. The numbers are those of the rows
-- in `holders` and `parked`, so that neither a claim nor a promotion has to count.
CREATE TABLE claims (
    name   TEXT    PRIMARY KEY,
    most   INTEGER NOT NULL,        -- the last limit said
    held   INTEGER NOT NULL,
    parked INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX claims_to_be_had ON claims (name) WHERE parked > 0 AND held < most;

CREATE TABLE holders (
    token INTEGER NOT NULL,
    name  TEXT    NOT NULL,
    PRIMARY KEY (token, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX holders_by_name ON holders (name);

-- Until its claim can be had, the first one first.
CREATE TABLE parked (
    no      INTEGER PRIMARY KEY,
    name    TEXT    NOT NULL,
    queue   INTEGER NOT NULL,
    payload BLOB    NOT NULL,
    crashes INTEGER NOT NULL
) STRICT;
CREATE INDEX parked_by_name ON parked (name, no);

-- One more place: 5 parked.
INSERT INTO depths (place, amount) VALUES (5, 0);

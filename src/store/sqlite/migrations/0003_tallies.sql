-- Tallies: named sets of numbers.

CREATE TABLE tallies (
    no         INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    expires_at INTEGER              -- NULL: lives for ever
) STRICT;
CREATE INDEX tallies_by_expiry ON tallies (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE tally_fields (
    tally INTEGER NOT NULL,
    field TEXT    NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (tally, field)
) STRICT, WITHOUT ROWID;

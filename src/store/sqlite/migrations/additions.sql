-- Streams of events in which nothing more is expected: they are dropped at this time, if `last_id` is their last event
-- still.
CREATE TABLE IF NOT EXISTS retired_streams (
    stream  TEXT PRIMARY KEY,
    last_id INTEGER NOT NULL,
    drop_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS retired_streams_by_drop_at ON retired_streams (drop_at);

//! The embedded store: SQLite, one writer thread with group commit, readers on their own connections.

//! The Redis store: the owner's keys, one script per verb.

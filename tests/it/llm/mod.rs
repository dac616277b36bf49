//! The model client, over real HTTP.

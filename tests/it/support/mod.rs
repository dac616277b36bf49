//! What the tests stand on: servers, applications and time.

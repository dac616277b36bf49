//! Blobs: one suite for both engines, and what only one of them has.

mod bucket;
mod cache;
mod conformance;
mod crash;
mod folder;
mod hostile;
mod large;
mod world;

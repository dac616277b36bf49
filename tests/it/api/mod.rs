//! The API over real HTTP: what needs no second engine. What legacy clients know is in `surface/`.

mod bulk;
mod help;
mod idempotency;
mod jobs;
mod openapi;
mod openapi_examples;
mod openapi_tools;
mod outage;
mod queues;
mod scheduled;
mod schemathesis;

//! Pure decisions: (workflow, what happened) → what follows. No async, no clock, no store.
//!
//! This is where the product's behaviour can be read: [`plan`] makes a workflow from a template,
//! [`advance`] moves it on, [`intervene`] does what
//! people ask of it, [`prompt`] says what an agent is told, [`specialist`] who works,
//! [`retry`] when a failed attempt is tried again, [`order`] which queue comes first, [`verdict`]
//! what QA meant.

pub mod advance;
#[cfg(test)]
mod advance_tests;
mod effects;
pub mod intervene;
#[cfg(test)]
mod intervene_tests;
pub mod order;
pub mod plan;
pub mod prompt;
pub mod retry;
pub mod specialist;
pub mod templates;
pub mod verdict;

pub use effects::Effects;

//! Pure decisions: (workflow, what happened) → what follows. No async, no clock, no store.
//!
//! This is where the product's behaviour can be read: [`plan`] makes a workflow from a template,
//! [`advance`] moves it on, [`intervene`], [`approval`] and [`fork`] do what people ask of it, [`prompt`] says what an agent is
//! told, [`specialist`] who works, [`conversation`] what a job does next with its model, [`tool_loop`]
//! whether that goes on, [`verdict`] what QA meant, [`retry`] when a failed attempt is tried again,
//! [`order`] which queue comes first, [`lane`] what a provider lets through, [`prices`] what a call
//! costs and [`budget`] what it can use at the most.

pub mod advance;
#[cfg(test)]
mod advance_tests;
pub mod approval;
#[cfg(test)]
mod approval_tests;
pub mod budget;
pub mod conversation;
mod effects;
pub mod fork;
#[cfg(test)]
mod fork_tests;
pub mod intervene;
#[cfg(test)]
mod intervene_tests;
pub mod lane;
pub mod order;
pub mod plan;
pub mod prices;
pub mod prompt;
pub mod retry;
mod rounds;
pub mod specialist;
pub mod templates;
pub mod tool_loop;
#[cfg(test)]
mod tool_loop_tests;
pub mod verdict;

pub use effects::Effects;

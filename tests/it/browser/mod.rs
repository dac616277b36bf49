//! The dashboard in a real browser: what a person sees and does, and what a hostile text may not do.
//!
//! Needs Debian's chromium and chromium-driver. `SCREENSHOTS=folder` keeps pictures of the pages.

mod app;
mod axe;
mod chrome;
mod control;
mod help;
mod hostile;
mod hostile_pages;
mod journey;
mod login;
mod looks;
mod ops;
mod reasons;
mod run;
mod showcase;
mod swagger;
mod work;

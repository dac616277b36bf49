//! Real processes of the built executable: several of them, killed, stopped and cut off.

mod adoption;
mod budgets;
mod copying;
mod full_log;
mod killed;
mod legacy;
mod outage;
mod rate_limit;
mod traces;
mod uploads;

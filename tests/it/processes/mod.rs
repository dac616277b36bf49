//! Real processes of the built executable: several of them, killed, stopped and cut off.

mod adoption;
mod backups;
mod budgets;
mod copying;
mod faults;
mod full_log;
mod killed;
mod legacy;
mod outage;
mod rate_limit;
mod redis_clock;
mod redis_servers;
mod redis_tls;
mod redis_troubles;
mod rolling;
mod traces;
mod uploads;

//! Real processes of the built executable: several of them, killed, stopped and cut off.

mod killed;
mod legacy;
mod outage;

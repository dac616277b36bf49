//! The right to migrate: one process has it, and loses it when it is not heard of.
//!
//! It keeps two processes from doing the same work. That nothing is done twice does not hang on it: every
//! change is conditional.

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use deadpool_redis::redis::{Value, cmd};
use tokio::task::JoinHandle;

use crate::{
    model::new_id,
    store::{
        StoreError,
        redis::{Lua, RawRedis},
    },
};

use super::MigrateError;

static RENEW: LazyLock<Lua> =
    LazyLock::new(|| Lua::writing(include_str!("../../migrations-redis/schema/renew.lua")));
static RELEASE: LazyLock<Lua> =
    LazyLock::new(|| Lua::writing(include_str!("../../migrations-redis/schema/release.lua")));

/// How long it lasts unless renewed.
const LEASE: Duration = Duration::from_secs(10);
/// How often it is renewed.
const RENEW_EVERY: Duration = Duration::from_secs(2);
/// Its key, behind the prefix.
const KEY: &str = "pf:schema:lease";

/// A lease that is held, and renewed until it is dropped.
pub(super) struct Lease {
    raw: RawRedis,
    key: String,
    holder: String,
    lost: Arc<AtomicBool>,
    keeper: JoinHandle<()>,
}

impl Lease {
    /// The lease, or who has it.
    pub async fn take(raw: &RawRedis) -> Result<Result<Self, String>, StoreError> {
        let key = raw.key(KEY);
        let holder = format!(
            "productforge {} (process {}, {})",
            env!("CARGO_PKG_VERSION"),
            std::process::id(),
            new_id()
        );
        let mut set = cmd("SET");
        set.arg(&key).arg(&holder).arg("NX").arg("PX").arg(LEASE.as_millis() as u64);
        if raw.write(&set).await? == Value::Nil {
            let other = match raw.read(cmd("GET").arg(&key)).await? {
                Value::BulkString(holder) => String::from_utf8_lossy(&holder).into_owned(),
                _ => "another process".to_owned(),
            };
            return Ok(Err(other));
        }
        let lost = Arc::new(AtomicBool::new(false));
        let keeper = tokio::spawn(keep(raw.clone(), key.clone(), holder.clone(), lost.clone()));
        Ok(Ok(Self { raw: raw.clone(), key, holder, lost, keeper }))
    }

    pub fn key(&self) -> &str {
        &self.key
    }

    /// Who holds it: this process.
    pub fn holder(&self) -> &str {
        &self.holder
    }

    /// To be asked between two pieces of work.
    pub fn held(&self) -> Result<(), MigrateError> {
        if self.lost.load(Ordering::Acquire) { Err(MigrateError::LeaseLost) } else { Ok(()) }
    }

    /// Lets others have it at once. If that fails it runs out.
    pub async fn release(self) {
        self.keeper.abort();
        let released = self.raw.run(&RELEASE, &[&self.key], |command| _ = command.arg(&self.holder)).await;
        if let Err(error) = released {
            log::debug!("the lease to migrate is left to run out: {error}");
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

async fn keep(raw: RawRedis, key: String, holder: String, lost: Arc<AtomicBool>) {
    loop {
        tokio::time::sleep(RENEW_EVERY).await;
        let renewed =
            raw.run(&RENEW, &[&key], |command| _ = command.arg(&holder).arg(LEASE.as_millis() as u64)).await;
        match renewed {
            Ok(Value::Int(1)) => {}
            Ok(_) => return lost.store(true, Ordering::Release),
            // The work will meet the same error, and say so.
            Err(error) => log::debug!("the lease to migrate was not renewed: {error}"),
        }
    }
}

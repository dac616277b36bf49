//! Migrations when a program starts. A Redis that is away then is no reason not to start: the database is
//! migrated as soon as it answers.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinHandle};

use super::{MigrateError, PATIENCE, apply};
use crate::store::{Store, redis::RedisStore};

/// How long to wait before the next try.
const AGAIN: Duration = Duration::from_secs(1);

/// The migrations of a program that has started.
pub struct Started {
    /// Set once it has turned out that the database must not be used.
    refused: watch::Receiver<Option<String>>,
    task: Option<JoinHandle<()>>,
}

impl Started {
    /// Completes only if the database must not be used by this program; with the reason.
    pub async fn refused(&self) -> String {
        let mut refused = self.refused.clone();
        match refused.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// Migrates the database now, or, while Redis is away, in the background as soon as it is there.
pub async fn at_start(store: Arc<RedisStore>) -> Result<Started, MigrateError> {
    let (sender, refused) = watch::channel(None);
    let task = match apply(&store, PATIENCE).await {
        Ok(report) => {
            if report.version > report.known {
                log::warn!(
                    "the database has schema version {}, this program knows {}; it can be used, as version {} is enough",
                    report.version,
                    report.known,
                    report.min_reader
                );
            }
            None
        }
        Err(error) if error.may_pass() => {
            // A store that knows what is wrong has told it.
            let level = if store.trouble().is_some() { log::Level::Debug } else { log::Level::Error };
            log::log!(level, "the database cannot be looked at yet: {error}; trying on");
            Some(tokio::spawn(keep_trying(store, sender)))
        }
        Err(error) => return Err(error),
    };
    Ok(Started { refused, task })
}

async fn keep_trying(store: Arc<RedisStore>, refused: watch::Sender<Option<String>>) {
    loop {
        tokio::time::sleep(AGAIN).await;
        match apply(&store, PATIENCE).await {
            Ok(_) => return,
            Err(error) if error.may_pass() => log::debug!("the database cannot be migrated yet: {error}"),
            Err(error) => {
                refused.send_replace(Some(error.to_string()));
                return;
            }
        }
    }
}

//! The database as it is, for what knows more of it than the contract: migrations.

use std::sync::Arc;

use deadpool_redis::redis::{Cmd, Value};

use super::{
    RedisStore, Shared,
    script::{Effect, Script},
};
use crate::store::{IndexName, StoreError};

/// Bare access to the keys of a store, behind its prefix. Nobody looks at what is written with it, so
/// whatever the contract can write is written through the contract.
#[derive(Clone)]
pub struct RawRedis(Arc<Shared>);

/// A script of somebody else's.
pub struct Lua(Script);

impl Lua {
    /// One that only reads, and may be run once more when its answer was lost.
    pub fn reading(source: &'static str) -> Self {
        Self(Script::new(source, Effect::Reads))
    }

    /// One that writes.
    pub fn writing(source: &'static str) -> Self {
        Self(Script::new(source, Effect::Writes))
    }
}

impl RedisStore {
    /// The way past the contract.
    pub fn raw(&self) -> Result<RawRedis, StoreError> {
        Ok(RawRedis(self.opened()?.clone()))
    }
}

impl RawRedis {
    /// What stands before every key.
    pub fn prefix(&self) -> &str {
        &self.0.keys.prefix
    }

    /// A key by its name behind the prefix.
    pub fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix())
    }

    /// The key of an index.
    pub fn index(&self, index: &IndexName) -> String {
        self.0.keys.index(index)
    }

    /// The key that notes which narrower indexes documents stand in.
    pub fn indexed(&self) -> &str {
        &self.0.keys.indexed
    }

    /// A command that only reads.
    pub async fn read(&self, command: &Cmd) -> Result<Value, StoreError> {
        self.0.read(command).await
    }

    /// A command that writes.
    pub async fn write(&self, command: &Cmd) -> Result<Value, StoreError> {
        self.0.work.send(command).await.map_err(|error| self.0.work.place().explain(&error))
    }

    /// Runs a script; `args` writes its arguments.
    pub async fn run<K: AsRef<str>>(
        &self,
        lua: &Lua,
        keys: &[K],
        args: impl Fn(&mut Cmd),
    ) -> Result<Value, StoreError> {
        lua.0.run(&self.0.work, keys, args).await
    }
}

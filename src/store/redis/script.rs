//! The scripts, one file per verb (the one write: a folder), and how one is run.

use std::sync::LazyLock;

use deadpool_redis::redis::{
    Cmd, RedisError, Value,
    aio::{ConnectionLike, MultiplexedConnection},
    cmd,
};

use super::{error::is_unknown_script, link::Link};
use crate::store::StoreError;

/// A script and the name the server knows it by.
pub(super) struct Script {
    source: &'static str,
    sha1: String,
    effect: Effect,
}

/// Whether a script that may have run can be run once more.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Effect {
    Reads,
    Writes,
}

macro_rules! scripts {
    ($($effect:ident $name:ident = $($file:literal)+;)*) => {
        $(
            pub(super) static $name: LazyLock<Script> =
                LazyLock::new(|| Script::new(concat!($(include_str!($file)),+), Effect::$effect));
        )*
    };
}

scripts! {
    Writes APPLY = "scripts/prelude.lua" "scripts/apply/look.lua" "scripts/apply/note.lua"
        "scripts/apply/documents.lua" "scripts/apply/ends.lua"
        "scripts/apply/tallies.lua" "scripts/apply/make.lua";
    Writes AUDIT_CLAIMS = "scripts/prelude.lua" "scripts/audit_claims.lua";
    Writes AUDIT_INDEX = "scripts/prelude.lua" "scripts/audit_index.lua";
    Writes AUDIT_LEASES = "scripts/prelude.lua" "scripts/audit_leases.lua";
    Reads COUNT = "scripts/prelude.lua" "scripts/count.lua";
    Reads DUMP_DOCUMENTS = "scripts/dump_documents.lua";
    Reads DUMP_KEYS = "scripts/dump_keys.lua";
    Reads DUMP_TALLIES = "scripts/dump_tallies.lua";
    Reads DEPTH = "scripts/depth.lua";
    Writes EXPIRE = "scripts/prelude.lua" "scripts/expire.lua";
    Reads GET = "scripts/get.lua";
    Reads LEASES = "scripts/leases.lua";
    Reads LIST = "scripts/list.lua";
    Writes PICKUP = "scripts/pickup.lua";
    Writes PROMOTE = "scripts/prelude.lua" "scripts/promote.lua";
    Writes RENEW = "scripts/prelude.lua" "scripts/renew.lua";
    Writes RESERVE = "scripts/prelude.lua" "scripts/reserve.lua";
    Writes RESTORE = "scripts/prelude.lua" "scripts/restore.lua";
    Writes SWEEP = "scripts/prelude.lua" "scripts/sweep.lua";
    Reads TALLIES = "scripts/tallies.lua";
}

impl Script {
    pub fn new(source: &'static str, effect: Effect) -> Self {
        Self { source, sha1: sha1_smol::Sha1::from(source).digest().to_string(), effect }
    }

    /// Runs the script; `args` writes its arguments.
    pub async fn run<K: AsRef<str>>(
        &self,
        link: &Link,
        keys: &[K],
        args: impl Fn(&mut Cmd),
    ) -> Result<Value, StoreError> {
        let guard = self.guard(link);
        match self.send(link, &build("EVALSHA", &self.sha1, keys, guard, &args)).await {
            // EVAL runs and keeps the script in one go: no SCRIPT FLUSH can come between.
            Err(error) if is_unknown_script(&error) => {
                self.send(link, &build("EVAL", self.source, keys, guard, &args)).await
            }
            answer => answer,
        }
        .map_err(|error| link.place().explain(&error))
    }

    /// The command that runs the script where the server knows it already.
    pub fn command<K: AsRef<str>>(&self, link: &Link, keys: &[K], args: impl Fn(&mut Cmd)) -> Cmd {
        build("EVALSHA", &self.sha1, keys, self.guard(link), args)
    }

    /// One that only reads needs none: what it cannot see ends it, and nothing is half done.
    fn guard<'a>(&self, link: &'a Link) -> Option<&'a str> {
        link.target().guard().filter(|_| self.effect == Effect::Writes)
    }

    /// Tells the server of the script.
    pub async fn load(&self, connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
        connection.req_packed_command(cmd("SCRIPT").arg("LOAD").arg(self.source)).await?.extract_error()?;
        Ok(())
    }

    async fn send(&self, link: &Link, command: &Cmd) -> Result<Value, RedisError> {
        match self.effect {
            Effect::Reads => link.read(command).await,
            Effect::Writes => link.send(command).await,
        }
    }
}

/// The guard is the last key: scripts know the others by their number.
fn build<K: AsRef<str>>(
    verb: &str,
    script: &str,
    keys: &[K],
    guard: Option<&str>,
    args: impl Fn(&mut Cmd),
) -> Cmd {
    let mut command = cmd(verb);
    command.arg(script).arg(keys.len() + usize::from(guard.is_some()));
    for key in keys.iter().map(AsRef::as_ref).chain(guard) {
        command.arg(key);
    }
    args(&mut command);
    command
}

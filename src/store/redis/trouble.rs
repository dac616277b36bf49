//! What can be wrong with Redis, told in sentences that say what to do, and logged once instead of with
//! every call.
//!
//! A trouble begins with the first error of its kind and is logged then. It ends with what proves the
//! opposite: any answer ends one of the connection, only a write that needs memory ends one of writing. A
//! trouble that comes back within [`QUIET`] is not logged again; the end of the last one is logged.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use deadpool_redis::redis::{ErrorKind, RedisError, ServerErrorKind};
use tokio::time::Instant;

/// The same trouble is told no more often than this.
const QUIET: Duration = Duration::from_secs(60);

/// A kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    Away,
    Broken,
    Silent,
    ClosedAtOnce,
    TooManyClients,
    PasswordMissing,
    PasswordWrong,
    Forbidden,
    UnknownAuthority,
    OtherName,
    CertificateTime,
    CertificateRefused,
    NoTls,
    OwnFiles,
    Loading,
    ClusterDown,
    SlotMoves,
    NoHashTag,
    NoPrimary,
    ReadOnly,
    TooFewReplicas,
    OutOfMemory,
    CannotSave,
    /// What Redis says and nobody here foresaw.
    Other,
}

/// What a [`RedisError`] of ours begins with when files of the configuration cannot be used.
pub(super) const OWN_FILES: &str = "a file of the configuration cannot be used";
/// The same when keys of the store would lie in several slots of a cluster.
pub(super) const NO_HASH_TAG: &str = "this is a cluster";
/// The same when a connection is closed before it has answered anything.
pub(super) const CLOSED_AT_ONCE: &str = "closed at once";
/// The same when a TLS handshake is not answered.
pub(super) const NO_HANDSHAKE: &str = "no TLS handshake";
/// The same when sentinels name no primary, or one that is none.
pub(super) const NO_PRIMARY: &str = "there is no primary";

impl Trouble {
    pub fn of(error: &RedisError) -> Self {
        let text = error.to_string();
        // Old servers wrap the error of a script's command into one of the script: the code is inside.
        let is = |code: &str| error.code() == Some(code) || text.contains(&format!("{code} "));
        let says = |words: &str| text.contains(words);
        if error.kind() == ErrorKind::Client || error.kind() == ErrorKind::InvalidClientConfig {
            return match text {
                _ if says(NO_HASH_TAG) => Self::NoHashTag,
                _ if says(NO_PRIMARY) => Self::NoPrimary,
                _ if says(OWN_FILES) => Self::OwnFiles,
                _ => Self::Other,
            };
        }
        match error.kind() {
            ErrorKind::Io if says("peer certificate") => Self::certificate(&text),
            ErrorKind::Io if says("InvalidContentType") || says(NO_HANDSHAKE) => Self::NoTls,
            ErrorKind::Io if says(CLOSED_AT_ONCE) => Self::ClosedAtOnce,
            ErrorKind::Io if says("received fatal alert") => Self::CertificateRefused,
            ErrorKind::Io if error.is_timeout() => Self::Silent,
            ErrorKind::Io if error.is_connection_dropped() && !error.is_connection_refusal() => Self::Broken,
            ErrorKind::Io => Self::Away,
            ErrorKind::AuthenticationFailed => Self::PasswordWrong,
            ErrorKind::Server(ServerErrorKind::BusyLoading) => Self::Loading,
            ErrorKind::Server(ServerErrorKind::ClusterDown) => Self::ClusterDown,
            ErrorKind::Server(ServerErrorKind::MasterDown) => Self::NoPrimary,
            ErrorKind::Server(ServerErrorKind::Ask | ServerErrorKind::TryAgain) => Self::SlotMoves,
            ErrorKind::Server(ServerErrorKind::CrossSlot) => Self::NoHashTag,
            ErrorKind::Server(ServerErrorKind::NoPerm) => Self::Forbidden,
            _ if is("OOM") => Self::OutOfMemory,
            _ if is("MISCONF") => Self::CannotSave,
            _ if is("READONLY") => Self::ReadOnly,
            _ if is("NOREPLICAS") => Self::TooFewReplicas,
            _ if is("NOAUTH") => Self::PasswordMissing,
            _ if is("WRONGPASS") || says("AUTH <password> called without any password") => {
                Self::PasswordWrong
            }
            _ if says("max number of clients") => Self::TooManyClients,
            _ if says("non local key in a cluster node") => Self::SlotMoves,
            _ => Self::Other,
        }
    }

    fn certificate(text: &str) -> Self {
        match text {
            _ if text.contains("not valid for name") || text.contains("NotValidForName") => Self::OtherName,
            _ if ["xpired", "not valid yet", "NotValidYet"].iter().any(|words| text.contains(words)) => {
                Self::CertificateTime
            }
            _ => Self::UnknownAuthority,
        }
    }

    /// What it means and what to do, without any address: it may be shown to everybody.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Away => "Redis cannot be reached: is it running, and are host and port of REDIS_URL right?",
            Self::Broken => "the connection to Redis broke: Redis was stopped, or something between ended it",
            Self::ClosedAtOnce => {
                "Redis closes new connections at once: it has none left (maxclients), or wants TLS (rediss://) or a certificate of ours (REDIS_CERT_FILE)"
            }
            Self::Silent => {
                "Redis does not answer in time: it hangs, is overloaded, or the network between swallows everything"
            }
            Self::TooManyClients => {
                "Redis has no connection left (maxclients): raise maxclients, or end what else is connected"
            }
            Self::PasswordMissing => "Redis wants a password: give it in REDIS_URL",
            Self::PasswordWrong => {
                "Redis refuses the user or password of REDIS_URL: compare them with requirepass or ACL SETUSER of the server"
            }
            Self::Forbidden => {
                "the user of REDIS_URL may not do this: allow it all commands on the keys behind REDIS_PREFIX"
            }
            Self::UnknownAuthority => {
                "Redis shows a certificate of an authority that is not trusted: name the file with its authority in REDIS_CA_FILE"
            }
            Self::OtherName => {
                "Redis shows a certificate for another host name: use a name that it holds in REDIS_URL, or issue one with that name"
            }
            Self::CertificateTime => {
                "Redis shows a certificate that has run out or is not valid yet: renew it"
            }
            Self::CertificateRefused => {
                "Redis refuses our TLS handshake: it may want a certificate (REDIS_CERT_FILE and REDIS_KEY_FILE)"
            }
            Self::NoTls => {
                "Redis does not answer the TLS handshake: this may be its port without TLS (redis://), or it hangs"
            }
            Self::OwnFiles => {
                "a certificate or key of ours cannot be used: look at REDIS_CA_FILE, REDIS_CERT_FILE and REDIS_KEY_FILE"
            }
            Self::Loading => "Redis has started and still loads its data: it takes requests when it is done",
            Self::ClusterDown => {
                "the Redis Cluster has no owner for our slot: a node is down and not yet replaced; look at CLUSTER INFO"
            }
            Self::SlotMoves => {
                "the cluster moves our slot to another node: nothing is read or written until that is done"
            }
            Self::NoHashTag => {
                "this Redis is a cluster, where all keys have to lie in one slot: set REDIS_PREFIX to a hash tag such as {pf}:"
            }
            Self::NoPrimary => {
                "there is no Redis primary at the moment: a failover is under way, or the name in REDIS_URL is not what the sentinels call it"
            }
            Self::ReadOnly => {
                "this Redis is a replica and takes no writes: give the URL of the primary, or let sentinels name it (redis-sentinel://)"
            }
            Self::TooFewReplicas => {
                "Redis takes no writes, because it has fewer replicas than min-replicas-to-write: bring them back"
            }
            Self::OutOfMemory => {
                "Redis has reached its maxmemory and takes nothing new: raise maxmemory or let results expire sooner (RESULT_TTL); what is queued goes on"
            }
            Self::CannotSave => {
                "Redis cannot save to its disk and takes no writes (MISCONF): look at its disk and its log"
            }
            Self::Other => "Redis refuses what it is asked: look at the log",
        }
    }

    /// Whether only writes are hit.
    fn is_of_writing(self) -> bool {
        matches!(self, Self::ReadOnly | Self::TooFewReplicas | Self::OutOfMemory | Self::CannotSave)
    }
}

/// The troubles of one server that have not ended.
#[derive(Default)]
pub(super) struct Troubles {
    any: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The one that was met last is last.
    open: Vec<(Trouble, Instant)>,
    told: Vec<(Trouble, Instant)>,
}

impl Troubles {
    /// Notes an error, and logs it if it is news.
    pub fn met(&self, trouble: Trouble, text: &str) {
        let mut state = self.state();
        if let Some(known) = state.open.iter().position(|(open, _)| *open == trouble) {
            // What is met now says more than what was met once: connections break, and then none can be made.
            let met = state.open.remove(known);
            state.open.push(met);
            return;
        }
        let now = Instant::now();
        state.open.push((trouble, now));
        self.any.store(true, Ordering::Release);
        state.told.retain(|(_, at)| at.elapsed() < QUIET);
        if state.told.iter().all(|(told, _)| *told != trouble) {
            state.told.push((trouble, now));
            log::error!("{text}; trying on");
        }
    }

    /// Redis answered. `wrote`: to a write that needs memory.
    pub fn answered(&self, wrote: bool, place: &str) {
        if !self.any.load(Ordering::Acquire) {
            return;
        }
        let mut state = self.state();
        let Some(since) = state.open.iter().map(|(_, at)| *at).min() else { return };
        state.open.retain(|(trouble, _)| trouble.is_of_writing() && !wrote);
        if state.open.is_empty() {
            self.any.store(false, Ordering::Release);
            log::info!("Redis at {place} works again, after {:.1} s", since.elapsed().as_secs_f64());
        }
    }

    /// The trouble that was met last and has not ended.
    pub fn newest(&self) -> Option<Trouble> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        self.state().open.last().map(|(trouble, _)| *trouble)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use deadpool_redis::redis::parse_redis_value;

    use super::*;

    #[test]
    fn what_redis_says_is_understood() {
        for (said, trouble) in [
            ("OOM command not allowed when used memory > 'maxmemory'.", Trouble::OutOfMemory),
            // From a script, as servers before 7.0 say it.
            ("ERR Error running script: @user_script:7: OOM command not allowed", Trouble::OutOfMemory),
            ("MISCONF Redis is configured to save RDB snapshots", Trouble::CannotSave),
            ("READONLY You can't write against a read only replica.", Trouble::ReadOnly),
            ("NOREPLICAS Not enough good replicas to write.", Trouble::TooFewReplicas),
            ("NOAUTH Authentication required.", Trouble::PasswordMissing),
            ("WRONGPASS invalid username-password pair or user is disabled.", Trouble::PasswordWrong),
            ("ERR AUTH <password> called without any password configured", Trouble::PasswordWrong),
            ("NOPERM User forge has no permissions to run the 'evalsha' command", Trouble::Forbidden),
            ("ERR max number of clients reached", Trouble::TooManyClients),
            ("LOADING Redis is loading the dataset in memory", Trouble::Loading),
            ("MASTERDOWN Link with MASTER is down", Trouble::NoPrimary),
            ("CLUSTERDOWN Hash slot not served", Trouble::ClusterDown),
            ("ASK 3999 127.0.0.1:6381", Trouble::SlotMoves),
            ("TRYAGAIN Multiple keys request during rehashing of slot", Trouble::SlotMoves),
            ("ERR Script attempted to access a non local key in a cluster node", Trouble::SlotMoves),
            ("CROSSSLOT Keys in request don't hash to the same slot", Trouble::NoHashTag),
            ("ERR unknown command 'BLMOVE'", Trouble::Other),
        ] {
            let reply = parse_redis_value(format!("-{said}\r\n").as_bytes()).unwrap();
            assert_eq!(Trouble::of(&reply.extract_error().unwrap_err()), trouble, "{said}");
        }
    }

    /// A trouble is open until the opposite is proven: by any answer, or by a write.
    #[test]
    fn a_trouble_ends_with_what_proves_it() {
        let troubles = Troubles::default();
        troubles.met(Trouble::Silent, "one");
        troubles.met(Trouble::OutOfMemory, "two");
        assert_eq!(troubles.newest(), Some(Trouble::OutOfMemory));
        troubles.answered(false, "here");
        assert_eq!(troubles.newest(), Some(Trouble::OutOfMemory), "reads go on when memory is full");
        troubles.answered(true, "here");
        assert_eq!(troubles.newest(), None);
    }
}

//! The fixtures: stores as an earlier version left them, with their times moved to now.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use deadpool_redis::redis;
use flate2::read::GzDecoder;
use productforge::clock::{Clock, SystemClock};
use serde::Deserialize;

use crate::support::redis_server::RedisServer;

/// What is known of a fixture.
#[derive(Deserialize)]
pub struct About {
    made_at_ms: i64,
    /// Some have ended, some were under way.
    pub workflows: Vec<String>,
    /// Waits for a person.
    pub waits: String,
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/upgrade/fixtures").join(name)
}

fn about(engine: &str) -> About {
    serde_json::from_slice(&std::fs::read(path(&format!("{engine}.json"))).unwrap()).unwrap()
}

fn unpacked(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    GzDecoder::new(std::fs::File::open(path(name)).unwrap()).read_to_end(&mut bytes).unwrap();
    bytes
}

/// Puts the embedded store's file there.
pub fn sqlite(database: &Path) -> About {
    let about = about("sqlite");
    std::fs::create_dir_all(database.parent().unwrap()).unwrap();
    std::fs::write(database, unpacked("sqlite.db.gz")).unwrap();
    let passed = SystemClock.now_ms() - about.made_at_ms;
    let conn = rusqlite::Connection::open(database).unwrap();
    // What had a life to live has as much of it left as it had then.
    for table in ["documents", "tallies", "leases"] {
        conn.execute(&format!("UPDATE {table} SET expires_at = expires_at + ?1"), [passed]).unwrap();
    }
    conn.execute("UPDATE due SET due_at = due_at + ?1", [passed]).unwrap();
    conn.execute("UPDATE streams SET last_at = last_at + ?1", [passed]).unwrap();
    conn.execute("UPDATE events SET at = at + ?1", [passed]).unwrap();
    about
}

/// Fills a Redis with it. Lives are stored as what is left of them; leases have run out.
pub async fn redis(server: &RedisServer) -> About {
    let mut connection = server.connection().await;
    for line in String::from_utf8(unpacked("redis.jsonl.gz")).unwrap().lines() {
        let commands: Vec<Vec<String>> = serde_json::from_str(line).unwrap();
        for words in commands {
            let words: Vec<Vec<u8>> =
                words.iter().map(|word| BASE64_STANDARD.decode(word).unwrap()).collect();
            let mut command = redis::cmd(std::str::from_utf8(&words[0]).unwrap());
            for word in &words[1..] {
                command.arg(word.as_slice());
            }
            let _: redis::Value = command.query_async(&mut connection).await.unwrap();
        }
    }
    about("redis")
}

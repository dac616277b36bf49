//! Redis misbehaves: one line in the log says what it is and what to do, the answers are clear, and all is
//! well by itself when Redis is.

use std::time::Duration;

use deadpool_redis::redis::{FromRedisValue, aio::MultiplexedConnection, cmd};
use serde_json::json;
use tempfile::TempDir;

use crate::support::{
    process::{Server, folder},
    redis_server::{Options, RedisServer},
    wait::{until, until_within},
};

/// A server with a worker on a Redis that somebody else plays with.
pub struct Scene {
    pub redis: RedisServer,
    pub foreign: MultiplexedConnection,
    pub server: Server,
    _folder: TempDir,
}

impl Scene {
    pub async fn new(options: Options) -> Self {
        Self::with(options, |redis| vec![("REDIS_URL", redis.url())]).await
    }

    /// `environment` may know where Redis is.
    pub async fn with(
        options: Options,
        environment: impl FnOnce(&RedisServer) -> Vec<(&'static str, String)>,
    ) -> Self {
        let redis = RedisServer::start_with(options);
        let foreign = redis.connection().await;
        Self::on(redis, foreign, environment).await
    }

    pub async fn on(
        redis: RedisServer,
        foreign: MultiplexedConnection,
        environment: impl FnOnce(&RedisServer) -> Vec<(&'static str, String)>,
    ) -> Self {
        let folder = folder();
        let given = environment(&redis);
        let environment: Vec<(&str, &str)> =
            given.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let server = Server::start(folder.path(), &["--workers", "2"], &environment).await;
        Self { redis, foreign, server, _folder: folder }
    }

    /// Runs a command given as words, as the foreign program.
    pub async fn run<T: FromRedisValue>(&mut self, words: &str) -> T {
        run(&mut self.foreign, words).await
    }

    /// The line with these words is in the log, and once: it is no line a second.
    pub async fn told_once(&self, words: &str) {
        until("the log says it", || async { (self.times(words) > 0).then_some(()) }).await;
        assert_eq!(self.times(words), 1, "{words}:\n{}", self.server.process.output());
    }

    /// How many lines of the log tell this trouble.
    fn times(&self, words: &str) -> usize {
        let output = self.server.process.output();
        output.lines().filter(|line| line.contains(words) && line.contains("[store::redis::trouble]")).count()
    }

    /// What `/system/health` says is wrong; with the status of a store that is away.
    pub async fn is_ill(&self, words: &str) {
        until("health says it", || async {
            let (status, health) = self.server.get("/system/health").await;
            (status == 503 && health["problems"].to_string().contains(words)).then_some(())
        })
        .await;
    }

    /// One of the warnings of `/system/verify` has these words.
    pub async fn warns(&self, words: &str) {
        until("verify says it", || async {
            let (_, verify) = self.server.get("/system/verify").await;
            (verify["status"] != "healthy" && verify["warnings"].to_string().contains(words)).then_some(())
        })
        .await;
    }

    /// Work is refused with this status and kind of problem.
    pub async fn refuses(&self, status: u16, kind: &str) {
        let client = reqwest::Client::new();
        let request = client.post(format!("{}/orchestrate", self.server.url));
        let request = request.header("content-type", "application/json");
        let answer = request.body(json!({"job": "too early"}).to_string()).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status);
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        assert!(status != 503 || answer.headers().contains_key("retry-after"));
        let problem: serde_json::Value = answer.json().await.unwrap();
        assert!(problem["type"].as_str().unwrap().ends_with(kind), "{problem}");
    }

    /// A workflow comes to its end, and the log says that Redis works again.
    pub async fn recovers(&self) {
        let id = until("work is taken", || async {
            let (status, answer) = self.server.post("/orchestrate", json!({"job": "Go on"})).await;
            (status == 200).then(|| answer["workflow_id"].as_str().unwrap().to_owned())
        })
        .await;
        let longest = Duration::from_secs(60);
        let workflow = until_within(longest, "the workflow ends", || self.server.ended(&id)).await;
        assert_eq!(workflow["status"], "completed", "{workflow:#}");
        until("the log says that it is over", || async {
            self.server.process.output().contains(" works again, after ").then_some(())
        })
        .await;
        let output = self.server.process.output();
        assert!(!output.contains("panicked"), "{output}");
    }
}

pub async fn run<T: FromRedisValue>(foreign: &mut MultiplexedConnection, words: &str) -> T {
    let mut words = words.split(' ');
    let mut command = cmd(words.next().unwrap());
    words.for_each(|word| _ = command.arg(word));
    command.query_async(foreign).await.unwrap()
}

#[tokio::test]
async fn out_of_memory() {
    let mut scene = Scene::new(Options::default()).await;
    let id = scene.server.orchestrate("Before").await;
    until("the workflow ends", || scene.server.ended(&id)).await;
    scene.run::<()>("CONFIG SET maxmemory 1").await;
    for _ in 0..3 {
        scene.refuses(507, "store-full").await;
    }
    // Reads go on.
    assert_eq!(scene.server.get("/workflows").await.0, 200);
    assert_eq!(scene.server.get(&format!("/results/workflow/{id}")).await.0, 200);
    scene.warns("raise maxmemory").await;
    scene.told_once("Redis has reached its maxmemory").await;
    scene.run::<()>("CONFIG SET maxmemory 0").await;
    scene.recovers().await;
}

#[tokio::test]
async fn a_replica() {
    let mut scene = Scene::new(Options::default()).await;
    scene.run::<()>("REPLICAOF 127.0.0.1 1").await;
    scene.refuses(503, "store-unavailable").await;
    assert_eq!(scene.server.get("/workflows").await.0, 200);
    scene.warns("takes no writes").await;
    scene.told_once("is a replica and takes no writes").await;
    scene.run::<()>("REPLICAOF NO ONE").await;
    scene.recovers().await;
}

#[tokio::test]
async fn a_wrong_password_at_the_start_and_later() {
    let mut scene = Scene::with(
        Options { extra: "--requirepass wrong --user app on >old ~* +@all", ..Options::default() },
        |redis| vec![("REDIS_URL", redis.url().replace("redis://", "redis://app:s3cret@"))],
    )
    .await;
    run::<()>(&mut scene.foreign, "AUTH wrong").await;
    scene.is_ill("refuses the user or password").await;
    scene.warns("refuses the user or password").await;
    scene.refuses(503, "store-unavailable").await;
    scene.told_once("refuses the user or password").await;
    scene.run::<()>("ACL SETUSER app >s3cret").await;
    scene.recovers().await;
    // Later, while connections stand: Redis ends those of a user whose password is taken.
    scene.run::<()>("ACL SETUSER app resetpass >other").await;
    scene.run::<()>("CLIENT KILL USER app").await;
    scene.is_ill("refuses the user or password").await;
    scene.run::<()>("ACL SETUSER app >s3cret").await;
    scene.recovers().await;
    assert!(!scene.server.process.output().contains("s3cret"));
}

#[tokio::test]
async fn no_connection_left() {
    let mut scene = Scene::new(Options::default()).await;
    scene.run::<()>("CONFIG SET maxclients 1").await;
    scene.run::<i64>("CLIENT KILL TYPE normal SKIPME yes").await;
    scene.is_ill("maxclients").await;
    scene.refuses(503, "store-unavailable").await;
    // What Redis says is lost now and then: it closes while we speak.
    let lines =
        ["has no connection left (maxclients)", "it has none left (maxclients)"].map(|w| scene.times(w));
    assert!(
        (1..=2).contains(&lines.iter().sum::<usize>()) && lines.iter().all(|times| *times <= 1),
        "{lines:?}"
    );
    scene.run::<()>("CONFIG SET maxclients 1000").await;
    scene.recovers().await;
}

#[tokio::test]
async fn snapshots_that_cannot_be_saved() {
    let mut scene = Scene::new(Options::default()).await;
    let id = scene.server.orchestrate("Before").await;
    until("the workflow ends", || scene.server.ended(&id)).await;
    // A folder in the place of the file.
    let file = scene.redis.folder().join("dump.rdb");
    std::fs::create_dir(&file).unwrap();
    let mut save = cmd("CONFIG");
    save.arg("SET").arg("save").arg("3600 1").query_async::<()>(&mut scene.foreign).await.unwrap();
    scene.snapshot("err").await;
    scene.refuses(507, "store-full").await;
    assert_eq!(scene.server.get("/workflows").await.0, 200);
    scene.warns("could not write its last snapshot").await;
    scene.told_once("cannot save to its disk and takes no writes (MISCONF)").await;
    std::fs::remove_dir(&file).unwrap();
    scene.snapshot("ok").await;
    scene.recovers().await;
}

impl Scene {
    /// Has Redis write a snapshot, and waits for how it ends.
    async fn snapshot(&mut self, status: &str) {
        self.run::<String>("BGSAVE").await;
        let expected = format!("rdb_last_bgsave_status:{status}");
        until("the snapshot has ended", || async {
            let mut info = cmd("INFO");
            let info: String = info.arg("persistence").query_async(&mut self.foreign.clone()).await.unwrap();
            (info.contains("rdb_bgsave_in_progress:0") && info.contains(&expected)).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn frozen() {
    let scene = Scene::new(Options::default()).await;
    let id = scene.server.orchestrate("Before").await;
    until("the workflow ends", || scene.server.ended(&id)).await;
    scene.redis.freeze(true);
    scene.refuses(503, "store-unavailable").await;
    scene.is_ill("does not answer in time").await;
    scene.told_once("does not answer in time").await;
    scene.redis.freeze(false);
    scene.recovers().await;
}

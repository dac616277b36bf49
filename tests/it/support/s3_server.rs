//! A real S3 server on a free loopback port: SeaweedFS, by `tests/support/s3-server.sh`.

use std::{
    io::{Read, Seek},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    sync::LazyLock,
    time::{Duration, Instant},
};

use object_store::{ObjectStoreExt, RetryConfig, aws::AmazonS3Builder, path::Path as Key, signer::Signer};
use productforge::blobs::Keys;
use tempfile::TempDir;

/// It takes about four seconds; a busy machine may take long.
const READY_WITHIN: Duration = Duration::from_secs(90);
/// The bucket that is there from the start.
pub const BUCKET: &str = "productforge";

/// A running server; dropping it ends it.
pub struct S3Server {
    port: u16,
    /// Leads the server: when its input ends, both end.
    script: Child,
    _folder: TempDir,
}

impl S3Server {
    /// One for all tests of this process, which ends with it. A test has to keep to a prefix of its own.
    pub fn shared() -> &'static Self {
        static SHARED: LazyLock<S3Server> =
            LazyLock::new(|| std::thread::spawn(S3Server::start).join().unwrap());
        &SHARED
    }

    /// Starts the server and waits until it keeps what it is given. Panics with its words when it does not.
    pub fn start() -> Self {
        // Somebody may take the port between our letting it go and the server's taking it.
        let mut problem = String::new();
        for _ in 0..3 {
            match Self::try_start() {
                Ok(server) => return server,
                Err(why) => problem = why,
            }
        }
        panic!("the S3 server does not start: {problem}");
    }

    fn try_start() -> Result<Self, String> {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let mut log = tempfile::tempfile().unwrap();
        let script = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/s3-server.sh"))
            .args(["run", &port.to_string()])
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log.try_clone().unwrap())
            .spawn()
            .map_err(|e| format!("tests/support/s3-server.sh: {e}"))?;
        let mut server = Self { port, script, _folder: folder };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let start = Instant::now();
        while let Err(why) = runtime.block_on(server.try_use()) {
            let ended = server.script.try_wait().unwrap();
            if ended.is_some() || start.elapsed() > READY_WITHIN {
                let mut words = String::new();
                log.rewind().and_then(|()| log.read_to_string(&mut words)).unwrap();
                return Err(format!("{ended:?} after {:?}: {why}: {words}", start.elapsed()));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(server)
    }

    /// Creates the bucket and an object in it.
    async fn try_use(&self) -> Result<(), String> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let store = AmazonS3Builder::new()
            .with_endpoint(self.endpoint())
            .with_allow_http(true)
            .with_bucket_name(BUCKET)
            .with_access_key_id(keys().access_key_id)
            .with_secret_access_key(keys().secret_access_key)
            .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
            .build()
            .map_err(|e| e.to_string())?;
        let put = store.signed_url(reqwest::Method::PUT, &Key::from(""), Duration::from_secs(60)).await;
        let answer = reqwest::Client::new().put(put.map_err(|e| e.to_string())?).send().await;
        let status = answer.map_err(|e| e.to_string())?.status();
        if !status.is_success() && status != reqwest::StatusCode::CONFLICT {
            return Err(format!("creating the bucket: {status}"));
        }
        store.put(&Key::from("ready"), "yes".into()).await.map(drop).map_err(|e| e.to_string())
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A `BLOB_URL` that leads to a prefix.
    pub fn url(&self, prefix: &str) -> String {
        format!("s3://{BUCKET}/{prefix}?endpoint={}", self.endpoint())
    }
}

/// The one key that the server knows.
pub fn keys() -> Keys {
    Keys {
        access_key_id: "tests".to_owned(),
        secret_access_key: "tests-secret".to_owned(),
        session_token: None,
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        // The script ends the server when its input ends.
        drop(self.script.stdin.take());
        let _ = self.script.wait();
    }
}

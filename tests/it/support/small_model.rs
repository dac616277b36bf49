//! A real small language model on a free loopback port: llama.cpp's server with SmolLM2-135M.
//!
//! It is fluent and often wrong: tests look at the path of an answer, never at its wisdom.

use std::{
    io::{Read, Seek, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use productforge::config::LlmConfig;

/// Loading takes about a second; a busy machine may take long.
const READY_WITHIN: Duration = Duration::from_secs(90);

/// A running server; dropping it ends it.
pub struct SmallModel {
    address: SocketAddr,
    server: Child,
}

impl SmallModel {
    /// Starts the server and waits until it answers. Panics with its words when it does not.
    pub fn start() -> Self {
        // Somebody may take the port between our letting it go and the server's taking it.
        let mut problem = String::new();
        for _ in 0..3 {
            match Self::try_start() {
                Ok(model) => return model,
                Err(why) => problem = why,
            }
        }
        panic!("the small model does not start: {problem}");
    }

    fn try_start() -> Result<Self, String> {
        let address = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).unwrap();
        let mut log = tempfile::tempfile().unwrap();
        let server = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/small-model.sh"))
            .args(["run", &address.port().to_string()])
            // Held open by `server`: the script ends when this process does, even by a kill.
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log.try_clone().unwrap())
            .spawn()
            .map_err(|e| format!("tests/support/small-model.sh: {e}"))?;
        let mut model = Self { address, server };
        let start = Instant::now();
        loop {
            if model.is_ready() {
                return Ok(model);
            }
            let ended = model.server.try_wait().unwrap();
            if ended.is_some() || start.elapsed() > READY_WITHIN {
                let mut words = String::new();
                log.rewind().and_then(|()| log.read_to_string(&mut words)).unwrap();
                return Err(format!("{ended:?} after {:?}: {words}", start.elapsed()));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn is_ready(&self) -> bool {
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect_timeout(&self.address, Duration::from_secs(1))?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }

    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// A configuration that leads here: no key, short answers, since it writes some 20 tokens a second.
    pub fn config(&self) -> LlmConfig {
        LlmConfig {
            api_key: None,
            base_url: Some(self.base_url()),
            model: "smollm2-135m-instruct".to_owned(),
            timeout: Duration::from_secs(120),
            max_tokens: Some(48),
            stream: true,
            record: None,
            replay: None,
            simulated_latency: Duration::ZERO,
            providers: Vec::new(),
            default_provider: String::new(),
        }
    }
}

impl Drop for SmallModel {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

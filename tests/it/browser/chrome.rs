//! Chromium under WebDriver, one driver process and one empty profile a test.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::Duration,
};

use base64::Engine as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use thirtyfour::prelude::*;

use crate::support::wait::until;

const MISSING: &str = "chromium and chromium-driver are not installed: run `./dev setup`";

const FLAGS: [&str; 13] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--disable-default-apps",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    // Whatever a page asks of another host fails at once, and is seen in `requests`.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];

/// A browser. Ends with its test, also with one that fails.
pub struct Chrome {
    pub driver: WebDriver,
    process: Child,
    port: u16,
    _profile: TempDir,
}

/// How the browser is set up.
#[derive(Default)]
pub struct Setup {
    pub without_javascript: bool,
    pub dark: bool,
    /// Width and height of the window; 1280 × 900 unless set.
    pub window: Option<(u32, u32)>,
}

impl Chrome {
    pub async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    pub async fn with(setup: Setup) -> Self {
        let mut process = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect(MISSING);
        let port = port_of(&mut process);
        let profile = TempDir::new().unwrap();
        let mut caps = DesiredCapabilities::chrome();
        for flag in FLAGS {
            caps.add_arg(flag).unwrap();
        }
        let (width, height) = setup.window.unwrap_or((1280, 900));
        if width < 500 {
            // A window cannot be as narrow as a phone.
            let phone = json!({"deviceMetrics": {"width": width, "height": height, "pixelRatio": 1}});
            caps.add_experimental_option("mobileEmulation", phone).unwrap();
        }
        caps.add_arg(&format!("--window-size={width},{height}")).unwrap();
        caps.add_arg(&format!("--user-data-dir={}", profile.path().display())).unwrap();
        if setup.dark {
            caps.add_arg("--force-dark-mode").unwrap();
            caps.add_arg("--blink-settings=preferredColorScheme=0").unwrap();
        }
        if setup.without_javascript {
            caps.add_arg("--blink-settings=scriptEnabled=false").unwrap();
        }
        caps.set("goog:loggingPrefs", json!({"browser": "ALL", "performance": "ALL"})).unwrap();
        super::app::install_tls();
        let driver = match WebDriver::new(&format!("http://127.0.0.1:{port}"), caps).await {
            Ok(driver) => driver,
            Err(e) => {
                let _ = process.kill();
                panic!("{MISSING}\n{e}");
            }
        };
        Self { driver, process, port, _profile: profile }
    }

    /// Waits until the page contains the text, without loading it again.
    pub async fn sees(&self, text: &str) -> String {
        until(&format!("the page says {text:?}"), || async {
            let seen = self.text().await;
            seen.contains(text).then_some(seen)
        })
        .await
    }

    /// What the page says now.
    pub async fn text(&self) -> String {
        // The body may be replaced at this moment.
        match self.driver.find(By::Tag("body")).await {
            Ok(body) => body.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    pub async fn click(&self, css: &str) {
        self.driver.find(By::Css(css.to_owned())).await.unwrap().click().await.unwrap();
    }

    pub async fn type_into(&self, css: &str, text: &str) {
        self.driver.find(By::Css(css.to_owned())).await.unwrap().send_keys(text).await.unwrap();
    }

    /// Waits until the page that a click leads to is there.
    pub async fn arrives_at(&self, prefix: &str) {
        let there = || async { self.path().await.starts_with(prefix).then_some(()) };
        until(&format!("the page below {prefix}"), there).await;
    }

    pub async fn path(&self) -> String {
        self.driver.current_url().await.unwrap().path().to_owned()
    }

    /// What the console said of errors and refused content so far, apart from answers with an error
    /// status, which browsers report too.
    pub async fn complaints(&self) -> Vec<String> {
        let entries = self.driver.browser_log().await.unwrap();
        let texts = entries.into_iter().map(|e| format!("{e:?}"));
        texts.filter(|t| !t.contains("Failed to load resource: the server responded")).collect()
    }

    /// The URLs of all requests of the page so far.
    pub async fn requests(&self) -> Vec<String> {
        let entries = self.driver.get_log("performance").await.unwrap();
        let url_of = |entry: Value| {
            let message: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
            let message = &message["message"];
            (message["method"] == "Network.requestWillBeSent")
                .then(|| message["params"]["request"]["url"].as_str().map(str::to_owned))?
        };
        entries.into_iter().map(|e| serde_json::to_value(e).unwrap()).filter_map(url_of).collect()
    }

    /// Keeps a picture of the whole page when `SCREENSHOTS` names a folder.
    pub async fn picture(&self, name: &str) {
        let Some(folder) = std::env::var_os("SCREENSHOTS") else { return };
        let size = "return [document.documentElement.clientWidth, document.documentElement.scrollHeight]";
        let size = self.driver.execute(size, vec![]).await.unwrap().json().clone();
        let clip = json!({"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1});
        let how = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let session = self.driver.session_id();
        let url = format!("http://127.0.0.1:{}/session/{session}/goog/cdp/execute", self.port);
        let order = json!({"cmd": "Page.captureScreenshot", "params": how});
        let taken = reqwest::Client::new().post(url).json(&order).send().await.unwrap();
        let taken = taken.json::<Value>().await.unwrap()["value"].clone();
        let bytes =
            base64::engine::general_purpose::STANDARD.decode(taken["data"].as_str().unwrap()).unwrap();
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(std::path::Path::new(&folder).join(format!("{name}.png")), bytes).unwrap();
    }
}

impl Drop for Chrome {
    fn drop(&mut self) {
        // A driver that ends leaves its browser behind: the session has to be ended first, and here,
        // where a test that failed comes along too.
        let host = format!("127.0.0.1:{}", self.port);
        let head = format!("DELETE /session/{} HTTP/1.1\r\nHost: {host}\r\n", self.driver.session_id());
        if let Ok(mut driver) = TcpStream::connect(&host) {
            let _ = driver.set_read_timeout(Some(Duration::from_secs(10)));
            let _ = driver.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes());
            // The answer comes when the browser has ended.
            let _ = driver.read(&mut [0; 1024]);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// `ChromeDriver was started successfully on port 41234.`
fn port_of(process: &mut Child) -> u16 {
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let port = lines
        .by_ref()
        .map_while(Result::ok)
        .find_map(|line| line.split_once("successfully on port ")?.1.trim_end_matches('.').parse().ok())
        .expect("chromedriver did not say its port");
    // Its further words go nowhere, but the pipe must not fill up.
    std::thread::spawn(move || lines.for_each(drop));
    port
}

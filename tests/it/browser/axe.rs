//! The accessibility checker axe-core, run in the page that is shown.

use std::{io::Read, sync::LazyLock};

use flate2::read::GzDecoder;

use super::chrome::Chrome;

static SOURCE: LazyLock<String> = LazyLock::new(|| {
    let mut text = String::new();
    let packed = include_bytes!("axe/axe.min.js.gz");
    GzDecoder::new(packed.as_slice()).read_to_string(&mut text).unwrap();
    text
});

/// What the checker finds wrong, a line each.
pub async fn violations(chrome: &Chrome) -> Vec<String> {
    chrome.driver.execute(SOURCE.as_str(), vec![]).await.unwrap();
    let run = "const done = arguments[arguments.length - 1]; \
        axe.run(document, {resultTypes: ['violations']}).then(r => done(r.violations.flatMap(v => \
        v.nodes.map(n => v.id + ': ' + n.html.slice(0, 160) + ' ' + (n.any[0] ? n.any[0].message : '')))), \
        e => done([String(e)]))";
    let found = chrome.driver.execute_async(run, vec![]).await.unwrap();
    serde_json::from_value(found.json().clone()).unwrap()
}

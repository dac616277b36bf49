//! `/`.

use crate::support::{app::keys, engines::Engine};

on_both_engines!(the_root_tells_what_this_is_and_where_to_go_on,);

async fn the_root_tells_what_this_is_and_where_to_go_on(engine: Engine) {
    let app = engine.app().start().await;
    let about = app.get("/").await.ok();
    let expected =
        ["name", "version", "status", "architecture", "uptime_seconds", "documentation", "endpoints"];
    assert_eq!(keys(&about), expected);
    assert_eq!(about["name"], "ProductForge");
    assert_eq!(about["status"], "running");
    assert!(about["uptime_seconds"].is_f64());
    for address in about["endpoints"].as_object().unwrap().values() {
        let status = app.get(address.as_str().unwrap()).await.status;
        assert!(status == 200 || (status == 405 && *address == "/orchestrate"), "{address}: {status}");
    }
}

//! Who the client is behind a proxy: in the access log and for HTTPS.

use reqwest::Method;

use crate::support::{engines::Engine, logs, wait::until};

on_both_engines!(a_proxy_is_believed_only_if_it_is_trusted, who_came_by_https_is_told_to_stay_with_it,);

async fn ip_of(id: &str) -> String {
    let line = until("the access line is written", || async {
        logs::of_request(id).into_iter().find(|r| r.target == "access").map(|r| r.text)
    });
    line.await.rsplit_once("ip=").unwrap().1.to_owned()
}

async fn a_proxy_is_believed_only_if_it_is_trusted(engine: Engine) {
    logs::keep();
    for (n, (setting, expected)) in [
        ("none", "127.0.0.1"),
        ("10.0.0.0/8", "127.0.0.1"),
        ("127.0.0.1", "203.0.113.9"),
        ("127.0.0.1,203.0.113.0/24", "6.6.6.6"),
        ("1", "203.0.113.9"),
        ("2", "6.6.6.6"),
        ("3", "127.0.0.1"),
        ("railway", "127.0.0.1"),
    ]
    .into_iter()
    .enumerate()
    {
        let app = engine.app().variables(&[("TRUSTED_PROXIES", setting)]).start().await;
        let id = format!("proxied-{}-{n}", engine.name());
        let request = app.bare(Method::GET, "/system/ping").header("x-request-id", &id);
        request
            .header("x-forwarded-for", "6.6.6.6, 203.0.113.9")
            .header("x-real-ip", "7.7.7.7")
            .send()
            .await
            .unwrap();
        assert_eq!(ip_of(&id).await, expected, "TRUSTED_PROXIES={setting}");
    }
}

async fn who_came_by_https_is_told_to_stay_with_it(engine: Engine) {
    let trusting = engine.app().variables(&[("TRUSTED_PROXIES", "127.0.0.1")]).start().await;
    let plain = engine.app().start().await;
    for (app, proto, told) in
        [(&trusting, "https", true), (&trusting, "http", false), (&plain, "https", false)]
    {
        for path in ["/system/ping", "/agents/", "/nothing", "/dashboard/login"] {
            let answer = app.bare(Method::GET, path).header("x-forwarded-proto", proto).send().await.unwrap();
            assert_eq!(answer.headers().contains_key("strict-transport-security"), told, "{path} {proto}");
        }
    }
}

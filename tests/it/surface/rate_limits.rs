//! Requests a minute, by address and by key, and wrong keys.

use reqwest::Method;

use super::named_keys::made;
use crate::support::{
    app::{Answer, KEY, TestApp},
    engines::Engine,
    logs,
};

on_both_engines!(
    an_address_without_a_key_has_a_limit_and_is_told,
    a_right_key_has_a_limit_of_its_own,
    probes_and_files_are_never_refused,
    wrong_keys_are_slowed_down_at_the_api_and_the_login_alike,
    the_same_outdated_key_shuts_out_nobody,
    a_right_key_elsewhere_and_one_that_is_known_here_go_on,
    what_is_refused_is_logged_and_can_be_read_by_other_sites,
    what_stands_beside_a_right_key_is_a_guess,
    named_keys_are_neither_slowed_down_nor_counted,
    who_is_known_logs_in_during_a_wait,
    without_settings_nothing_is_limited,
    a_public_path_tells_nothing_about_a_key,
);

/// A request from an address behind a trusted proxy.
async fn from(app: &TestApp, ip: &str, key: Option<&str>, path: &str) -> Answer {
    let request = app.bare(Method::GET, path).header("x-forwarded-for", ip);
    let request = key.into_iter().fold(request, |request, key| request.header("x-api-key", key));
    Answer::of(request.send().await.unwrap()).await
}

async fn behind_proxy(engine: &Engine, more: &[(&'static str, &'static str)]) -> TestApp {
    let variables: Vec<_> =
        [("TRUSTED_PROXIES", "127.0.0.1")].into_iter().chain(more.iter().copied()).collect();
    engine.app().locked().variables(&variables).start().await
}

fn kind(answer: &Answer) -> String {
    answer.json()["type"].as_str().unwrap().rsplit(':').next().unwrap().to_owned()
}

async fn an_address_without_a_key_has_a_limit_and_is_told(engine: Engine) {
    let app = behind_proxy(&engine, &[("RATE_LIMIT", "5")]).await;
    for left in (0..5).rev() {
        let answer = from(&app, "1.1.1.1", None, "/agents/").await;
        assert_eq!(answer.status, 401);
        assert_eq!(answer.header("ratelimit-policy"), "\"address\";q=5;w=60");
        assert!(answer.header("ratelimit").starts_with(&format!("\"address\";r={left};t=")), "{answer:?}");
    }
    let refused = from(&app, "1.1.1.1", None, "/agents/").await;
    let detail = refused.problem(429);
    assert!(detail.as_str().unwrap().contains("5 requests a minute"), "{detail}");
    assert_eq!(kind(&refused), "rate-limited");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=12).contains(&wait), "{wait}");
    assert_eq!(from(&app, "1.1.1.2", None, "/agents/").await.status, 401, "another address");
    assert_eq!(from(&app, "1.1.1.2", Some(KEY), "/agents/").await.status, 200);
    // One person has a whole network of IPv6 addresses.
    for n in 0..5 {
        assert_eq!(from(&app, &format!("2001:db8::{n}"), None, "/agents/").await.status, 401);
    }
    assert_eq!(from(&app, "2001:db8::ffff", None, "/agents/").await.status, 429);
    let page = from(&app, "1.1.1.1", None, "/dashboard/login").await;
    assert_eq!((page.status, page.header("content-type")), (429, "text/html; charset=utf-8"));
    assert!(
        !page.header("retry-after").is_empty() && page.text.contains("Too many requests"),
        "{}",
        page.text
    );
}

async fn a_right_key_has_a_limit_of_its_own(engine: Engine) {
    let app = behind_proxy(&engine, &[("RATE_LIMIT", "2"), ("KEY_RATE_LIMIT", "8")]).await;
    for left in (0..8).rev() {
        let answer = from(&app, "1.1.1.1", Some(KEY), "/agents/").await;
        assert_eq!(answer.status, 200, "a right key is not counted by address");
        assert_eq!(answer.header("ratelimit-policy"), "\"key\";q=8;w=60");
        assert!(answer.header("ratelimit").starts_with(&format!("\"key\";r={left};t=")));
    }
    let refused = from(&app, "9.9.9.9", Some(KEY), "/agents/").await;
    assert!(refused.problem(429).as_str().unwrap().starts_with("This key may send 8 requests a minute"));
    assert_eq!(
        from(&app, "1.1.1.1", None, "/agents/").await.status,
        401,
        "its share of the address was given back"
    );
}

async fn probes_and_files_are_never_refused(engine: Engine) {
    let app = behind_proxy(&engine, &[("RATE_LIMIT", "1")]).await;
    for path in ["/system/ping", "/system/health", "/static/app.css", "/docs/swagger-ui.css", "/redoc"] {
        for _ in 0..4 {
            let answer = from(&app, "1.1.1.1", None, path).await;
            assert_eq!(answer.status, 200, "{path}");
            assert_eq!(answer.header("ratelimit"), "", "{path}");
        }
    }
}

async fn guess(app: &TestApp, ip: &str, n: usize) -> Answer {
    from(app, ip, Some(&format!("wrong-key-{n}")), "/agents/").await
}

/// As many wrong keys as it takes for the longest wait.
fn lock_out(app: &TestApp, ip: &str) {
    let now = app.app.services.system.now().timestamp();
    for n in 0..20_u32 {
        app.gate.guesses.failed(ip.parse().unwrap(), &n.to_be_bytes(), now);
    }
}

async fn wrong_keys_are_slowed_down_at_the_api_and_the_login_alike(engine: Engine) {
    let app = behind_proxy(&engine, &[]).await;
    // How long the first waits are depends on when the seconds change.
    let mut wrong = 0;
    while guess(&app, "1.1.1.1", wrong).await.status == 401 {
        wrong += 1;
        assert!(wrong < 30);
    }
    assert!(wrong >= 5, "{wrong}");
    lock_out(&app, "1.1.1.1");
    let refused = guess(&app, "1.1.1.1", 8).await;
    assert!(refused.problem(429).as_str().unwrap().contains("wrong keys"));
    assert_eq!(kind(&refused), "too-many-wrong-keys");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    let bearer =
        app.bare(Method::GET, "/agents/").header("x-forwarded-for", "1.1.1.1").bearer_auth("another");
    assert_eq!(bearer.send().await.unwrap().status(), 429, "whatever way it is shown");
    // Who shows no key guesses nothing, and the login counts with the API.
    assert_eq!(from(&app, "1.1.1.1", None, "/agents/").await.status, 401);
    let login = app.form("/dashboard/login", &[("key", KEY)]).header("x-forwarded-for", "1.1.1.1");
    assert_eq!(login.send().await.unwrap().status(), 429);
    let mut wrong = 0;
    loop {
        let login = app.form("/dashboard/login", &[("key", &format!("no-{wrong}"))]);
        let answer = login.header("x-forwarded-for", "2.2.2.2").send().await.unwrap();
        match answer.status().as_u16() {
            401 => wrong += 1,
            429 => break,
            other => panic!("{other}"),
        }
    }
    assert!((5..30).contains(&wrong), "{wrong}");
}

async fn the_same_outdated_key_shuts_out_nobody(engine: Engine) {
    let app = behind_proxy(&engine, &[]).await;
    for _ in 0..20 {
        assert_eq!(from(&app, "1.1.1.1", Some("taken-back-key"), "/agents/").await.status, 401);
    }
    assert_eq!(from(&app, "1.1.1.1", Some(KEY), "/agents/").await.status, 200);
}

async fn a_right_key_elsewhere_and_one_that_is_known_here_go_on(engine: Engine) {
    let app = behind_proxy(&engine, &[]).await;
    assert_eq!(from(&app, "1.1.1.1", Some(KEY), "/agents/").await.status, 200);
    lock_out(&app, "1.1.1.1");
    lock_out(&app, "3.3.3.3");
    assert_eq!(guess(&app, "1.1.1.1", 9).await.status, 429);
    assert_eq!(from(&app, "1.1.1.1", Some(KEY), "/agents/").await.status, 200, "it was right here before");
    assert_eq!(from(&app, "2.2.2.2", Some(KEY), "/agents/").await.status, 200);
    assert_eq!(from(&app, "3.3.3.3", Some(KEY), "/agents/").await.status, 429, "it is not compared");
}

async fn what_is_refused_is_logged_and_can_be_read_by_other_sites(engine: Engine) {
    logs::keep();
    let app = engine.app().locked().variables(&[("RATE_LIMIT", "1")]).start().await;
    for (n, status) in [401, 429].into_iter().enumerate() {
        let id = format!("limited-{}-{n}", engine.name());
        let request = app.bare(Method::GET, "/agents/").header("origin", "http://localhost:3000");
        let answer = Answer::of(request.header("x-request-id", &id).send().await.unwrap()).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("access-control-allow-origin"), "http://localhost:3000");
        let exposed = answer.header("access-control-expose-headers").to_lowercase();
        for header in ["ratelimit", "ratelimit-policy", "retry-after", "x-request-id"] {
            assert!(exposed.split(',').any(|name| name.trim() == header), "{header}: {exposed}");
        }
        let line = logs::of_request(&id).into_iter().find(|record| record.target == "access").unwrap().text;
        assert!(line.contains(&format!("status={status} ")), "{line}");
    }
}

async fn without_settings_nothing_is_limited(engine: Engine) {
    let app = engine.app().locked().start().await;
    for _ in 0..50 {
        let answer = app.get("/agents/ping").await;
        assert_eq!((answer.status, answer.header("ratelimit")), (200, ""));
    }
}

async fn a_public_path_tells_nothing_about_a_key(engine: Engine) {
    let app = behind_proxy(&engine, &[("KEY_RATE_LIMIT", "9")]).await;
    for key in [KEY, "wrong-key-here"] {
        let answer = from(&app, "1.1.1.1", Some(key), "/").await;
        assert_eq!((answer.status, answer.header("ratelimit-policy")), (200, ""), "{key}");
    }
}

async fn what_stands_beside_a_right_key_is_a_guess(engine: Engine) {
    let app = behind_proxy(&engine, &[]).await;
    let own = made(&app, "reader", "read").await;
    let beside = async |guess: &str| {
        let request = app.bare(Method::GET, "/keys/me").header("x-forwarded-for", "1.1.1.1");
        request.header("x-api-key", guess).bearer_auth(&own.secret).send().await.unwrap().status().as_u16()
    };
    let mut guesses = 0;
    while beside(&format!("guess-{guesses}")).await == 200 {
        guesses += 1;
        assert!(guesses < 30, "nobody was slowed down");
    }
    assert!(guesses >= 5, "{guesses}");
}

async fn named_keys_are_neither_slowed_down_nor_counted(engine: Engine) {
    let app = behind_proxy(&engine, &[]).await;
    let own = made(&app, "ci", "read").await;
    // A text of its form is no guess, and shuts out nobody.
    for n in 0..20 {
        let text = format!("{}_{}", own.id, format!("{n:02}").repeat(20));
        assert_eq!(from(&app, "1.1.1.1", Some(&text), "/agents/").await.status, 401);
    }
    assert_eq!(from(&app, "1.1.1.1", Some(KEY), "/agents/").await.status, 200);
    lock_out(&app, "2.2.2.2");
    assert_eq!(from(&app, "2.2.2.2", Some(KEY), "/agents/").await.status, 429);
    assert_eq!(from(&app, "2.2.2.2", Some(&own.secret), "/agents/").await.status, 200);
    let login = app.form("/dashboard/login", &[("key", &own.secret)]).header("x-forwarded-for", "2.2.2.2");
    assert_eq!(login.send().await.unwrap().status(), 303);
}

async fn who_is_known_logs_in_during_a_wait(engine: Engine) {
    let app = behind_proxy(&engine, &[]).await;
    let login = async || {
        let login = app.form("/dashboard/login", &[("key", KEY)]).header("x-forwarded-for", "1.1.1.1");
        login.send().await.unwrap().status().as_u16()
    };
    assert_eq!(login().await, 303);
    lock_out(&app, "1.1.1.1");
    assert_eq!(login().await, 303);
    assert_eq!(from(&app, "1.1.1.1", Some(KEY), "/agents/").await.status, 200, "known to the API as well");
}

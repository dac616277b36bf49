//! The locked dashboard.

use crate::support::wait::until;

use super::{
    app::{API_KEY, TestApp},
    chrome::Chrome,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visitor_logs_in_with_the_key_and_out_again() {
    let app = TestApp::locked().await;
    let chrome = Chrome::start().await;
    chrome.driver.goto(app.at("/dashboard/agents")).await.unwrap();
    assert_eq!(chrome.path().await, "/dashboard/login");
    let before = chrome.text().await;
    assert!(
        !before.contains("general_assistant") && !before.contains("simulated"),
        "data before login:\n{before}"
    );
    chrome.picture("login").await;

    chrome.type_into("#key", "a-wrong-key").await;
    chrome.click("main button.primary").await;
    chrome.sees("That is not a key.").await;

    chrome.type_into("#key", API_KEY).await;
    chrome.click("main button.primary").await;
    chrome.sees("general_assistant").await;
    assert_eq!(chrome.path().await, "/dashboard/agents", "back to the page that was asked for");

    let cookies = chrome.driver.get_all_cookies().await.unwrap();
    let cookie = cookies.iter().find(|c| c.name == "pf_session").unwrap();
    assert_eq!(format!("{:?}", cookie.same_site), "Some(Strict)");
    let seen = chrome.driver.execute("return document.cookie", vec![]).await.unwrap();
    assert_eq!(seen.json(), "", "a script can read the session");

    // The form of the overview carries its token.
    chrome.driver.goto(app.at("/dashboard/")).await.unwrap();
    chrome.type_into("#job", "Behind the door").await;
    chrome.click(".brief-form button.primary").await;
    chrome.sees("Final report").await;

    chrome.click("form.logout button").await;
    chrome.sees("Log in").await;
    chrome.driver.goto(app.at("/dashboard/workflows")).await.unwrap();
    assert_eq!(chrome.path().await, "/dashboard/login");
    assert_eq!(chrome.complaints().await, Vec::<String>::new());
}

async fn log_in(app: &TestApp) -> String {
    let fields = [("key", API_KEY), ("next", "https://evil.example/")];
    let answer = app.post("/dashboard/login", &fields).send().await.unwrap();
    assert_eq!(answer.status(), 303);
    assert_eq!(answer.headers()["location"], "/dashboard/", "only paths of the dashboard");
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    cookie.split(';').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_without_the_token_of_its_session_is_refused() {
    let app = TestApp::locked().await;
    let cookie = log_in(&app).await;
    for form in [vec![("job", "x")], vec![("job", "x"), ("csrf", "AAAA")]] {
        let post = app.post("/dashboard/workflows", &form).header("cookie", &cookie);
        let answer = post.send().await.unwrap();
        assert_eq!(answer.status(), 403);
    }
    let listing = app.services.workflows.list(10, None).await.unwrap();
    assert!(listing.items.is_empty(), "something was started");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_session_every_page_and_form_leads_to_the_login() {
    let app = TestApp::locked().await;
    for path in ["", "/", "/workflows", "/workflows/x", "/results", "/results/x", "/agents", "/nothing"] {
        let answer = app.get(&format!("/dashboard{path}")).send().await.unwrap();
        assert_eq!(answer.status(), 303, "{path}");
        let to = answer.headers()["location"].to_str().unwrap();
        assert!(to.starts_with("/dashboard/login?next=%2Fdashboard"), "{path}: {to}");
    }
    for path in ["/workflows", "/logout"] {
        let answer = app.post(&format!("/dashboard{path}"), &[("job", "x")]).send().await.unwrap();
        assert_eq!(answer.status(), 303, "{path}");
    }
    for open in ["/help", "/help/api", "/dashboard/help", "/dashboard/ping", "/redoc", "/dashboard/login"] {
        assert_eq!(app.get(open).send().await.unwrap().status(), 200, "{open}");
    }
    let signing_key = app.services.sessions.signing_key(API_KEY).await.unwrap();
    let expired = format!("pf_session={}", productforge::http::session::issue(&signing_key, 0).unwrap());
    let answer = app.get("/dashboard/").header("cookie", expired).send().await.unwrap();
    assert_eq!(answer.status(), 303);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guessing_is_slowed_down_and_https_makes_the_cookie_secure() {
    let app = TestApp::locked().await;
    let post = app.post("/dashboard/login", &[("key", API_KEY)]).header("x-forwarded-proto", "https");
    let secure = post.send().await.unwrap();
    assert!(secure.headers()["set-cookie"].to_str().unwrap().contains("; Secure"));
    let mut last = None;
    // The same wrong key again would be no guess.
    for n in 0..8 {
        last = Some(app.post("/dashboard/login", &[("key", &format!("guess-{n}"))]).send().await.unwrap());
    }
    let last = last.unwrap();
    assert_eq!(last.status(), 429);
    assert!(last.headers().contains_key("retry-after"));
    until("the wait is over", || async {
        let post = app.post("/dashboard/login", &[("key", API_KEY)]);
        (post.send().await.unwrap().status() == 303).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_was_ended_is_of_no_use_to_whoever_kept_its_cookie() {
    let app = TestApp::locked().await;
    let cookie = log_in(&app).await;
    let other = log_in(&app).await;
    assert_ne!(cookie, other, "every login makes a session of its own");
    let page = app.get("/dashboard/").header("cookie", &cookie).send().await.unwrap().text().await.unwrap();
    let token = page.split_once("name=\"csrf\" value=\"").unwrap().1.split_once('"').unwrap().0.to_owned();
    let out = app.post("/dashboard/logout", &[("csrf", &token)]).header("cookie", &cookie);
    assert_eq!(out.send().await.unwrap().headers()["location"], "/dashboard/login");
    let status = async |path: &str, cookie: &str| {
        app.get(path).header("cookie", cookie).send().await.unwrap().status().as_u16()
    };
    assert_eq!(status("/dashboard/", &cookie).await, 303, "logged out is logged out");
    assert_eq!(status("/dashboard/events", &cookie).await, 303);
    assert_eq!(
        status("/dashboard/login", &cookie).await,
        200,
        "and the login does not send anybody round in circles"
    );
    assert_eq!(status("/dashboard/", &other).await, 200, "other sessions go on");
    let post = app.post("/dashboard/workflows", &[("csrf", &token), ("job", "x")]).header("cookie", &cookie);
    assert_eq!(post.send().await.unwrap().headers()["location"], "/dashboard/login?next=%2Fdashboard%2F");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cookie_that_was_there_before_the_login_is_not_taken_over() {
    let app = TestApp::locked().await;
    // What an attacker may have planted: anything, or a session that they were given for another key.
    let foreign = productforge::http::session::issue("another key", i64::from(u32::MAX)).unwrap();
    for planted in ["chosen-by-somebody", foreign.as_str()] {
        let planted = format!("pf_session={planted}");
        let fields = [("key", API_KEY), ("next", "/dashboard/")];
        let answer = app.post("/dashboard/login", &fields).header("cookie", &planted).send().await.unwrap();
        let fresh = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        assert_ne!(fresh, planted);
        let with = |cookie: String| app.get("/dashboard/").header("cookie", cookie).send();
        assert_eq!(with(planted).await.unwrap().status(), 303);
        assert_eq!(with(fresh).await.unwrap().status(), 200);
    }
}

//! Whole workflows: the product's own jobs, with the simulated model, on whichever store is configured.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use productforge::{
    app::App,
    config::{Config, Flags},
    service::{records, workflows::NewWorkflow},
    store::IndexName,
};

use crate::setting;

/// How many are posted at once.
const CLIENTS: usize = 64;

/// Posts so many reviewed workflows, before the worker starts or (`live`) while it runs, and prints how fast
/// their jobs were finished. Without `REDIS_URL` or `REDIS_PORT` on the embedded store.
pub async fn drain(workflows: usize, live: bool) {
    let folder = tempfile::tempdir_in(std::env::var("STORE_DIR").unwrap_or_else(|_| ".".to_owned()))
        .expect("a folder can be made");
    let mut settings = HashMap::from([
        ("WORKSPACE_DIR", folder.path().display().to_string()),
        ("WORKERS", setting("SLOTS", 64usize).to_string()),
    ]);
    settings.extend(crate::redis_url_if_set().map(|url| ("REDIS_URL", url)));
    let config =
        Config::from_parts(&Flags::new(), |name| settings.get(name).cloned()).expect("the settings are good");
    let app = App::open(config).await.expect("the store opens");
    let post = stream::iter(0..workflows).for_each_concurrent(CLIENTS, |number| {
        let services = app.services.clone();
        async move {
            let job = format!("Find out why errand {number} is late, and mend it.");
            let brief = NewWorkflow { job, requires_qa: Some(true), ..NewWorkflow::default() };
            services.workflows.start(brief).await.expect("the workflow is accepted");
        }
    });
    let begun = Instant::now();
    let (worker, posted, started);
    if live {
        (started, worker) = (begun, app.start_worker());
        post.await;
        posted = begun.elapsed();
    } else {
        post.await;
        posted = begun.elapsed();
        (started, worker) = (Instant::now(), app.start_worker());
    }
    while app.store.depth().await.expect("the store answers").open() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let seconds = started.elapsed().as_secs_f64();
    let results = IndexName::all(records::RESULT);
    let jobs = app.store.count(&results).await.expect("the store answers");
    worker.stop(Duration::from_secs(1), std::future::pending()).await;
    app.store.close().await;
    println!(
        "{{\"workflows\":{workflows},\"jobs\":{jobs},\"workflows_s\":{:.0},\"jobs_s\":{:.0},\"posted_s\":{:.0}}}",
        workflows as f64 / seconds,
        jobs as f64 / seconds,
        workflows as f64 / posted.as_secs_f64(),
    );
}

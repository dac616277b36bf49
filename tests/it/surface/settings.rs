//! The environment variables of the owner's documents.

use std::{path::Path, time::Duration};

use productforge::{app::log_folder, config::Config};

use crate::support::world::config;

#[test]
fn the_legacy_variables_have_the_legacy_defaults() {
    let plain = config(&[]);
    assert_eq!(plain.http.port, 8_000);
    assert!(plain.http.api_key.is_none() && plain.store.redis_url.is_none());
    assert_eq!(plain.store.result_ttl, Duration::from_secs(3_600));
    assert_eq!(plain.upload.max_size, 52_428_800);
    assert_eq!(plain.upload.ttl, Duration::from_secs(7 * 86_400));
    assert_eq!(log_folder(&plain), Path::new("workspace/logs"));
}

#[test]
fn the_legacy_variables_are_obeyed() {
    let set = |name, value| -> Config { config(&[(name, value)]) };
    assert_eq!(set("PORT", "9000").http.port, 9_000);
    assert_eq!(set("MAX_UPLOAD_SIZE", "1048576").upload.max_size, 1_048_576);
    assert!(set("API_KEY", "a-key-of-clients").http.api_key.is_some());
    assert!(set("REDIS_URL", "redis://localhost:6379").store.redis_url.is_some());
    assert_eq!(log_folder(&set("RAILWAY_ENVIRONMENT", "production")), Path::new("/tmp/logs"));
}

//! The same test on both store engines, through the front door.

use std::sync::Arc;

use productforge::store::{
    Store,
    redis::{RedisOptions, RedisStore},
};

use super::{
    app::{Builder, TestApp, memory},
    redis_server::RedisServer,
};

/// A store for one test, and what it needs to live.
pub struct Engine {
    pub store: Arc<dyn Store>,
    /// What the store lives in, unless it lives in memory. Ends with the test.
    pub server: Option<RedisServer>,
}

impl Engine {
    pub fn sqlite() -> Self {
        Self { store: memory(), server: None }
    }

    pub fn redis() -> Self {
        let server = RedisServer::start();
        let options = RedisOptions { url: server.url(), prefix: String::new() };
        Self { store: Arc::new(RedisStore::open(options).unwrap()), server: Some(server) }
    }

    /// Its name, as answers tell it.
    pub fn name(&self) -> &'static str {
        if self.server.is_some() { "redis" } else { "sqlite" }
    }

    /// An application on this store.
    pub fn app(&self) -> Builder {
        TestApp::builder().store(self.store.clone())
    }
}

/// Makes of each function that takes an [`Engine`] one test for each engine.
macro_rules! on_both_engines {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::support::engines::Engine::sqlite()).await;
            })+
        }
        mod redis {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::support::engines::Engine::redis()).await;
            })+
        }
    };
}

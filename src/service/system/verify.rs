//! The self-check: every part of the system, and what to do where something is wrong with it.

use std::time::Instant;

use serde_json::{Value, json};

use super::{System, VERSION};
use crate::{engine::templates, service::uploads, store::StoreReport};

impl System {
    /// Checks every part and says what to do. Shows no secret, not even a part of one.
    pub async fn verify(&self) -> Value {
        let begun = Instant::now();
        // A store that answers and cannot be worked with (a key of a wrong type, say) is not ok.
        let report = match self.base.store.depth().await {
            Ok(_) => self.base.store.check().await,
            Err(e) => Err(e),
        };
        let latency_ms = (begun.elapsed().as_secs_f64() * 100_000.0).round() / 100.0;
        let mut warnings: Vec<String> = Vec::new();
        let store = match &report {
            Ok(report) => {
                warnings.extend(report.checks.iter().filter(|c| !c.ok).map(|c| c.detail.clone()));
                json!({"status": "ok", "latency_ms": latency_ms, "engine": report.engine,
                    "version": report.version, "checks": report.checks})
            }
            Err(e) => {
                warnings.push(e.to_string());
                json!({"status": "error", "error": e.to_string()})
            }
        };
        let simulated = self.base.provider.is_simulated();
        if simulated {
            warnings.push(
                "No model is configured: answers are simulated. Set OPENAI_API_KEY or OPENAI_BASE_URL, or \
                 name a provider in productforge.toml."
                    .to_owned(),
            );
        }
        let workers = self.workers().await.unwrap_or_default();
        if workers.is_empty() {
            warnings.push(
                "No worker is running: jobs wait. Start `productforge worker`, or `serve --workers 4`."
                    .to_owned(),
            );
        }
        if !workers.is_empty() && workers.iter().all(|worker| worker.draining) {
            warnings.push(
                "Every worker drains: jobs wait. Start `productforge worker`, or the process anew."
                    .to_owned(),
            );
        }
        let blobs = self.base.uploads.blobs.as_ref();
        // Files that cannot be had now are somebody else's finding.
        if let Ok(Some(foreign)) = uploads::foreign_files(self.base.store.as_ref(), blobs).await {
            warnings.push(foreign);
        }
        let redis = match (self.engine().await, &report) {
            ("sqlite", _) => "not used",
            (_, Ok(_)) => "ok",
            (_, Err(_)) => "error",
        };
        let environment: serde_json::Map<String, Value> = self
            .base
            .environment
            .iter()
            .map(|(name, given)| ((*name).to_owned(), json!(if *given { "set" } else { "unset" })))
            .collect();
        let redis_ok = matches!(&report, Ok(StoreReport { engine: "redis", .. }));
        let healthy = report.is_ok() && warnings.is_empty();
        json!({
            "redis_ok": redis_ok,
            "openai_ok": !simulated,
            "env_vars_count": self.base.environment.iter().filter(|(_, given)| *given).count(),
            "templates_count": templates::all().len(),
            "uptime": self.started.elapsed().as_secs(),
            "app_version": VERSION,
            "status": if report.is_err() { "unhealthy" } else if healthy { "healthy" } else { "degraded" },
            "warnings": warnings,
            "checks": {
                "redis": {"status": redis, "latency_ms": latency_ms},
                "store": store,
                "openai": {"status": if simulated { "simulated" } else { "ok" }, "configured": !simulated,
                    "provider": self.base.provider.name(), "model": self.base.provider.default_model()},
                "providers": self.base.providers.as_ref(),
                "workers": {"status": if workers.is_empty() { "warning" } else { "ok" }, "alive": workers.len()},
                "environment": environment,
                "filesystem": {"status": "ok", "log_file": self.base.log_folder.join("app.log").exists()},
            },
        })
    }
}

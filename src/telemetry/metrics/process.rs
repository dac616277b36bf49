//! What the system says of this process, under the names that Prometheus clients use everywhere.
//!
//! Where the system does not tell (no `/proc`), a metric is left out rather than made up.

use std::fs;

use nix::{
    sys::resource::{Resource, UsageWho, getrlimit, getrusage},
    sys::time::TimeValLike,
};

use super::{Metric, MetricKind};

/// The memory, files and time of this process.
pub fn process() -> Vec<Metric> {
    let mut metrics = Vec::new();
    let mut add = |name, help, value: Option<f64>| {
        metrics.extend(value.map(|value| Metric::gauge(name, help, [(None, value)])));
    };
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    add("process_resident_memory_bytes", "Memory that is in use, in bytes", kibibytes(&status, "VmRSS:"));
    add("process_virtual_memory_bytes", "Addresses that are in use, in bytes", kibibytes(&status, "VmSize:"));
    // One of them is the folder that is being read.
    let open = fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count().saturating_sub(1) as f64);
    add("process_open_fds", "Files and connections that are open", open);
    let most = getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(soft, _)| soft as f64);
    add("process_max_fds", "How many may be open", most);
    add("process_start_time_seconds", "When this process began, in seconds since 1970", started());
    let cpu = getrusage(UsageWho::RUSAGE_SELF)
        .ok()
        .map(|usage| (usage.user_time() + usage.system_time()).num_microseconds() as f64 / 1e6);
    metrics.extend(cpu.map(|seconds| Metric {
        kind: MetricKind::Counter,
        ..Metric::gauge("process_cpu_seconds_total", "Seconds of processors used", [(None, seconds)])
    }));
    metrics
}

/// A line of `/proc/self/status` such as `VmRSS:     21344 kB`.
fn kibibytes(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<f64>().ok().map(|kib| kib * 1024.0)
}

/// The system's start time plus how long after it this process began, which `/proc` counts in hundredths.
fn started() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name, in brackets, may hold anything; the 22nd field is the 20th behind it.
    let ticks: f64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
    let system = fs::read_to_string("/proc/stat").ok()?;
    let boot: f64 = system.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(boot + ticks / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_system_is_read_as_it_is_written() {
        let metrics = process();
        let value = |name: &str| {
            let metric = metrics.iter().find(|m| m.name == name).unwrap_or_else(|| panic!("{name}"));
            match metric.samples[0].reading {
                super::super::Reading::Number(value) => value,
                _ => panic!("a number"),
            }
        };
        assert!(value("process_resident_memory_bytes") > 1e5);
        assert!(value("process_virtual_memory_bytes") >= value("process_resident_memory_bytes"));
        assert!(value("process_open_fds") >= 3.0 && value("process_open_fds") <= value("process_max_fds"));
        assert!(value("process_cpu_seconds_total") >= 0.0);
        let now = crate::clock::local_now().timestamp() as f64;
        let age = now - value("process_start_time_seconds");
        assert!((-2.0..86_400.0).contains(&age), "{age}");
    }
}

//! The text format of Prometheus, version 0.0.4.

use std::fmt::Write;

use super::{Metric, Reading};

/// What a metric is called for others. Those of the process itself have the names that all programs use.
pub fn full_name(name: &str) -> String {
    if name.starts_with("process_") { name.to_owned() } else { format!("productforge_{name}") }
}

/// All metrics, each explained once.
pub fn text(metrics: &[Metric]) -> String {
    let mut out = String::with_capacity(16_384);
    for metric in metrics.iter().filter(|metric| !metric.samples.is_empty()) {
        let name = full_name(metric.name);
        let help = metric.help.replace('\\', "\\\\").replace('\n', "\\n");
        // Writing into a String cannot fail.
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {}", metric.kind.as_str());
        for sample in &metric.samples {
            let labels = labels(&sample.labels);
            match &sample.reading {
                Reading::Number(value) => {
                    let _ = writeln!(out, "{name}{} {value}", in_braces(&labels));
                }
                Reading::Histogram { bounds, counts, sum } => {
                    let mut so_far = 0;
                    for (n, count) in counts.iter().enumerate() {
                        so_far += count;
                        let bound = bounds.get(n).map_or_else(|| "+Inf".to_owned(), f64::to_string);
                        let comma = if labels.is_empty() { "" } else { "," };
                        let _ = writeln!(out, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {so_far}");
                    }
                    let braced = in_braces(&labels);
                    let _ = writeln!(out, "{name}_sum{braced} {sum}\n{name}_count{braced} {so_far}");
                }
            }
        }
    }
    out
}

/// `queue="queue_high",when="now"`.
fn labels(labels: &[(&'static str, String)]) -> String {
    let mut out = String::new();
    for (name, value) in labels {
        let comma = if out.is_empty() { "" } else { "," };
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let _ = write!(out, "{comma}{name}=\"{value}\"");
    }
    out
}

fn in_braces(labels: &str) -> String {
    if labels.is_empty() { String::new() } else { format!("{{{labels}}}") }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{MetricKind, Sample},
        *,
    };

    #[test]
    fn a_name_is_explained_once_and_labels_are_quoted() {
        let jobs = Metric::gauge(
            "jobs",
            "Jobs",
            [(Some(("state", "due".to_owned())), 2.0), (Some(("state", "a\"b\\\n".to_owned())), 0.5)],
        );
        let cpu = Metric::gauge("process_open_fds", "Files\nopen", [(None, 3.0)]);
        assert_eq!(
            text(&[jobs, Metric::gauge("nothing", "Nothing", []), cpu]),
            "# HELP productforge_jobs Jobs\n\
             # TYPE productforge_jobs gauge\nproductforge_jobs{state=\"due\"} 2\n\
             productforge_jobs{state=\"a\\\"b\\\\\\n\"} 0.5\n\
             # HELP process_open_fds Files\\nopen\n# TYPE process_open_fds gauge\nprocess_open_fds 3\n"
        );
    }

    #[test]
    fn the_buckets_of_a_histogram_are_summed_up() {
        let reading = Reading::Histogram { bounds: &[0.1, 1.0], counts: vec![1, 0, 2], sum: 7.25 };
        let sample = Sample { labels: vec![("queue", "low".to_owned())], reading };
        let metric =
            Metric { name: "wait_seconds", help: "Wait", kind: MetricKind::Histogram, samples: vec![sample] };
        let lines = text(&[metric]);
        let (_, lines) = lines.split_once("histogram\n").unwrap();
        assert_eq!(
            lines.replace("productforge_wait_seconds", "w"),
            "w_bucket{queue=\"low\",le=\"0.1\"} 1\nw_bucket{queue=\"low\",le=\"1\"} 1\n\
             w_bucket{queue=\"low\",le=\"+Inf\"} 3\nw_sum{queue=\"low\"} 7.25\nw_count{queue=\"low\"} 3\n"
        );
    }
}

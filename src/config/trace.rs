//! Where traces go: the variables that OpenTelemetry has defined for every program.
//!
//! <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/> and
//! <https://opentelemetry.io/docs/specs/otel/protocol/exporter/> say what they mean. A setting of traces
//! alone (`…_TRACES_…`) wins over the one of all signals.

use std::time::Duration;

use reqwest::{
    Url,
    header::{HeaderName, HeaderValue},
};

use super::{Secret, reader::Reader, values};

/// How long the collector may take, in milliseconds, as the standard has it.
const TIMEOUT_MS: &str = "10000";

/// How spans are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtlpProtocol {
    /// `http/protobuf`
    Protobuf,
    /// `http/json`
    Json,
}

/// What is recorded, and where it is sent.
#[derive(Debug, Clone)]
pub struct TraceConfig {
    /// The address that spans are posted to; `None`: nothing is recorded.
    pub endpoint: Option<Url>,
    pub protocol: OtlpProtocol,
    /// Sent with every post; values are secrets.
    pub headers: Vec<(String, Secret)>,
    pub timeout: Duration,
    /// What this process is, `service.name` among it.
    pub resource: Vec<(String, String)>,
    /// The share of new traces that are recorded, 0 to 1.
    pub ratio: f64,
    /// Whether a trace that somebody else began is recorded as decided there.
    pub by_parent: bool,
    /// Whether prompts and answers stand in spans.
    pub content: bool,
}

pub(super) fn read(r: &mut Reader<'_>) -> TraceConfig {
    let disabled = r.value("OTEL_SDK_DISABLED", "false", values::boolean);
    let exported = r.value("OTEL_TRACES_EXPORTER", "otlp", |v| match v.as_str() {
        "otlp" => Ok(true),
        "none" => Ok(false),
        _ => Err("must be otlp or none".to_owned()),
    });
    let all = r.optional("OTEL_EXPORTER_OTLP_ENDPOINT", |v| address(&v, "v1/traces"));
    let own = r.optional("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", |v| address(&v, ""));
    let protocol = r.value("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf", protocol);
    let protocol = r.optional("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", self::protocol).unwrap_or(protocol);
    let checked = |text: String| pairs(&text).and_then(|p| check_headers(&p)).map(|()| text);
    let headers = r.secret("OTEL_EXPORTER_OTLP_HEADERS", checked);
    let headers = r.secret("OTEL_EXPORTER_OTLP_TRACES_HEADERS", checked).or(headers);
    let headers = headers.and_then(|text| pairs(text.expose()).ok()).unwrap_or_default();
    let timeout = r.value("OTEL_EXPORTER_OTLP_TIMEOUT", TIMEOUT_MS, values::number(1, 600_000));
    let (share, by_parent) = r.value("OTEL_TRACES_SAMPLER", "parentbased_always_on", sampler);
    let ratio = r.value("OTEL_TRACES_SAMPLER_ARG", "1.0", |v| match v.parse::<f64>() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
        _ => Err("must be a number from 0 to 1".to_owned()),
    });
    let mut resource = r.optional("OTEL_RESOURCE_ATTRIBUTES", |v| pairs(&v)).unwrap_or_default();
    let name = r.optional("OTEL_SERVICE_NAME", Ok);
    if name.is_some() || !resource.iter().any(|(key, _)| key == "service.name") {
        resource.retain(|(key, _)| key != "service.name");
        resource.insert(0, ("service.name".to_owned(), name.unwrap_or_else(|| "productforge".to_owned())));
    }
    if !resource.iter().any(|(key, _)| key == "service.version") {
        resource.push(("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()));
    }
    let content = r.value("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "false", values::boolean);
    TraceConfig {
        endpoint: own.or(all).filter(|_| exported && !disabled),
        protocol,
        headers: headers.into_iter().map(|(name, value)| (name, Secret::new(value))).collect(),
        timeout: Duration::from_millis(timeout),
        resource,
        ratio: share.unwrap_or(ratio),
        by_parent,
        content,
    }
}

/// The address with a path behind it, before its query if it has one.
fn address(text: &str, path: &str) -> Result<Url, String> {
    let wrong = || "must be an address such as http://localhost:4318".to_owned();
    let mut url = Url::parse(text).map_err(|_| wrong())?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(wrong());
    }
    if !path.is_empty() {
        url.path_segments_mut().map_err(|()| wrong())?.pop_if_empty().extend(path.split('/'));
    }
    Ok(url)
}

fn protocol(name: String) -> Result<OtlpProtocol, String> {
    match name.as_str() {
        "http/protobuf" => Ok(OtlpProtocol::Protobuf),
        "http/json" => Ok(OtlpProtocol::Json),
        "grpc" => Err(
            "must be http/protobuf or http/json; for a collector that takes gRPC alone, name its HTTP port \
             (4318)"
                .to_owned(),
        ),
        _ => Err("must be http/protobuf or http/json".to_owned()),
    }
}

/// The share that the name itself says, and whether the parent's word counts.
fn sampler(name: String) -> Result<(Option<f64>, bool), String> {
    let (rule, by_parent) = match name.strip_prefix("parentbased_") {
        Some(rule) => (rule, true),
        None => (name.as_str(), false),
    };
    match rule {
        "always_on" => Ok((Some(1.0), by_parent)),
        "always_off" => Ok((Some(0.0), by_parent)),
        "traceidratio" => Ok((None, by_parent)),
        _ => {
            Err("must be always_on, always_off or traceidratio, each also with parentbased_ in front"
                .to_owned())
        }
    }
}

/// `name=value,name=value` with percent signs for what does not fit, as in the header `baggage`.
fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    items
        .map(|item| {
            let (name, value) = item.split_once('=').ok_or("must be name=value, more behind commas")?;
            let (name, value) = (decoded(name.trim()), decoded(value.trim()));
            match (name, value) {
                (Some(name), Some(value)) if !name.is_empty() => Ok((name, value)),
                _ => Err("has a name or a percent sign that cannot be read".to_owned()),
            }
        })
        .collect()
}

fn check_headers(headers: &[(String, String)]) -> Result<(), String> {
    for (name, value) in headers {
        if HeaderName::try_from(name.as_str()).is_err() {
            return Err(format!("has '{name}', which is no name of a header"));
        }
        if HeaderValue::from_str(value).is_err() {
            return Err(format!("has a value of {name} that does not fit into a header"));
        }
    }
    Ok(())
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        rest = more;
        if *first == b'%' {
            let (digits, more) = rest.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = more;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::super::{Config, ConfigError, Flags};
    use super::*;

    fn config(settings: &[(&str, &str)]) -> Result<TraceConfig, ConfigError> {
        let env = |name: &str| settings.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        Config::from_parts(&Flags::new(), env).map(|config| config.trace)
    }

    #[test]
    fn nothing_is_recorded_unless_a_collector_is_named() {
        assert!(config(&[]).unwrap().endpoint.is_none());
        let named = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        let trace = config(&[named]).unwrap();
        assert_eq!(trace.endpoint.unwrap().as_str(), "http://collector:4318/v1/traces");
        assert_eq!((trace.protocol, trace.ratio, trace.by_parent), (OtlpProtocol::Protobuf, 1.0, true));
        assert_eq!(trace.resource[0], ("service.name".to_owned(), "productforge".to_owned()));
        for off in [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")] {
            assert!(config(&[named, off]).unwrap().endpoint.is_none(), "{off:?}");
        }
    }

    #[test]
    fn what_is_said_of_traces_alone_wins() {
        let trace = config(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://all/base/?tenant=7"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://traces/elsewhere"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20eA==, x-tenant = a%2Cb"),
            ("OTEL_SERVICE_NAME", "forge"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=no,deployment.environment.name=test"),
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ])
        .unwrap();
        assert_eq!(trace.endpoint.unwrap().as_str(), "https://traces/elsewhere");
        assert_eq!((trace.protocol, trace.ratio, trace.by_parent), (OtlpProtocol::Json, 0.25, true));
        let headers: Vec<_> = trace.headers.iter().map(|(n, v)| (n.as_str(), v.expose())).collect();
        assert_eq!(headers, [("authorization", "Basic eA=="), ("x-tenant", "a,b")]);
        assert_eq!(trace.resource.len(), 3);
        assert_eq!(trace.resource[0].1, "forge");
        let query = config(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://all/base/?tenant=7")]).unwrap();
        assert_eq!(query.endpoint.unwrap().as_str(), "https://all/base/v1/traces?tenant=7");
    }

    #[test]
    fn what_cannot_be_obeyed_is_named_and_no_header_is_shown() {
        for (name, value, said) in [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318", "http://localhost:4318"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "HTTP port"),
            ("OTEL_TRACES_SAMPLER", "jaeger_remote", "traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "2", "from 0 to 1"),
            ("OTEL_RESOURCE_ATTRIBUTES", "team", "name=value"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x y=sesame", "no name of a header"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x=sesame%0a", "does not fit"),
        ] {
            let error = config(&[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(said) && !error.contains("sesame"), "{error}");
        }
    }
}

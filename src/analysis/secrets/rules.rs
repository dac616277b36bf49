//! What secrets look like. `value` is the secret and `name` what it is called. Large numbers of
//! repetitions are avoided: they cost time in proportion, and memory for every thread that looks. How long a value may be
//! is looked at afterwards.

use std::sync::LazyLock;

use regex::Regex;

use crate::analysis::Severity::{self, Critical, High, Low, Medium};

/// A kind of secrets.
pub(super) struct Rule {
    pub kind: &'static str,
    pub severity: Severity,
    /// Whether values that speak of an example are passed over.
    pub may_be_example: bool,
    pub regex: Regex,
}

/// The rule for values that only their name makes a secret.
pub(super) const ASSIGNMENT: &str = "assigned_secret";

/// Kind, severity, whether examples are passed over, and the pattern. The surest come first.
const PATTERNS: &[(&str, Severity, bool, &str)] = &[
    (
        "private_key",
        Critical,
        false,
        // The begin of a key alone stands in every program that reads keys.
        r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----(?:\\n|\\r|[\s\x22'+,])*(?:[A-Za-z-]{1,20}: [^\n]*\n\s*)*(?P<value>[A-Za-z0-9+/=]{24}[A-Za-z0-9+/=\s\\]*)",
    ),
    ("aws_access_key", Critical, true, r"\b(?P<value>(?:AKIA|ASIA)[A-Z2-7]{16})\b"),
    (
        "aws_secret_key",
        Critical,
        true,
        r#"(?i)\b(?P<name>aws.{0,20}(?:secret|sk).{0,20}?)["']?\s{0,5}[:=]\s{0,5}["']?(?P<value>[A-Za-z0-9/+=]{40})\b"#,
    ),
    ("gcp_api_key", High, true, r"\b(?P<value>AIza[0-9A-Za-z_-]{35})"),
    ("gcp_oauth_secret", High, true, r"\b(?P<value>GOCSPX-[0-9A-Za-z_-]{28})"),
    (
        "github_token",
        Critical,
        true,
        r"\b(?P<value>(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{60,}))",
    ),
    ("gitlab_token", Critical, true, r"\b(?P<value>gl(?:pat|dt|rt|cbt|ptt|ft|soat)-[0-9A-Za-z_-]{20,})"),
    ("slack_token", Critical, true, r"\b(?P<value>xox[abeoprs]-[0-9A-Za-z-]{10,})"),
    (
        "slack_webhook",
        High,
        true,
        r"https://hooks\.slack\.com/services/(?P<value>T[A-Z0-9]{6,12}/B[A-Z0-9]{6,12}/[A-Za-z0-9]{20,30})",
    ),
    ("stripe_key", Critical, true, r"\b(?P<value>(?:sk|rk)_live_[0-9A-Za-z]{20,})"),
    ("stripe_test_key", Low, false, r"\b(?P<value>(?:sk|rk)_test_[0-9A-Za-z]{20,})"),
    ("anthropic_key", Critical, true, r"\b(?P<value>sk-ant-[0-9A-Za-z_-]{24,})"),
    (
        "openai_key",
        Critical,
        true,
        r"\b(?P<value>sk-(?:(?:proj|svcacct|admin)-[0-9A-Za-z_-]{40,}|[0-9A-Za-z]{20}T3BlbkFJ[0-9A-Za-z]{20}|[0-9A-Za-z]{48}))\b",
    ),
    ("huggingface_token", Critical, true, r"\b(?P<value>hf_[A-Za-z]{34})\b"),
    ("npm_token", Critical, true, r"\b(?P<value>npm_[0-9A-Za-z]{36})\b"),
    ("npm_auth", High, true, r"_authToken\s{0,3}=\s{0,3}(?P<value>[0-9A-Za-z_-]{16,})"),
    ("pypi_token", Critical, true, r"\b(?P<value>pypi-AgE[0-9A-Za-z_-]{50,})"),
    ("sendgrid_key", Critical, true, r"\b(?P<value>SG\.[0-9A-Za-z_-]{22}\.[0-9A-Za-z_-]{43})"),
    ("twilio_key", High, true, r"\b(?P<value>SK[0-9a-f]{32})\b"),
    ("azure_storage_key", Critical, true, r"AccountKey=(?P<value>[0-9A-Za-z+/]{86}==)"),
    ("jwt", Medium, true, r"\b(?P<value>eyJ[0-9A-Za-z_-]{10,}\.eyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{16,})"),
    (
        "password_in_url",
        High,
        true,
        r#"\b[a-zA-Z][a-zA-Z0-9+.-]{1,20}://[^\s:@/"'<>`{}$%]*:(?P<value>[^\s:@/"'<>`{}$%]{3,})@[a-zA-Z0-9\[._-]"#,
    ),
    ("token_in_url", High, true, r#"\bhttps?://(?P<value>[0-9A-Za-z_-]{20,})@[a-zA-Z0-9._-]"#),
    (
        ASSIGNMENT,
        Medium,
        true,
        r#"(?i)(?P<name>[a-z0-9_.-]{0,40}(?:password|passwd|pwd|secret|token|api_?-?key|access_?-?key|private_?-?key|auth_?-?key|credentials?)[a-z0-9_-]{0,20})["']?\s{0,5}(?::=|=>|[:=])\s{0,5}["'`](?P<value>[^\s"'`\\]{8,})["'`]"#,
    ),
    (
        ASSIGNMENT,
        Medium,
        true,
        // As in files with settings: without quotes, to the end of the line.
        r"(?m)^(?:export )?(?P<name>[A-Z0-9_]{0,40}(?:PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY)[A-Z0-9_]{0,20})=(?P<value>[^\s\x22'`$(){}\[\],;]{8,})\s*$",
    ),
];

pub(super) static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let rule = |(kind, severity, may_be_example, pattern): &(&'static str, Severity, bool, &str)| {
        let regex = Regex::new(pattern).ok()?;
        Some(Rule { kind, severity: *severity, may_be_example: *may_be_example, regex })
    };
    PATTERNS.iter().filter_map(rule).collect()
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_is_one_and_names_its_value() {
        assert_eq!(RULES.len(), PATTERNS.len());
        for rule in RULES.iter() {
            assert!(rule.regex.capture_names().flatten().any(|name| name == "value"), "{}", rule.kind);
        }
    }

    #[test]
    fn no_pattern_is_a_large_program() {
        for (kind, _, _, pattern) in PATTERNS {
            // Every thread that looks keeps a cache in proportion.
            let small = regex::RegexBuilder::new(pattern).size_limit(128 << 10).build();
            assert!(small.is_ok(), "{kind}");
        }
    }
}

//! How far back figures go: the days that pages of figures offer.

use actix_web::HttpRequest;
use serde::Serialize;

use crate::http::extract::query_value;

/// The days to choose from, the first unless another one is asked for.
const CHOICES: [(u32, &str); 4] = [(30, "30 days"), (1, "Today"), (7, "7 days"), (90, "90 days")];

/// A link to another period.
#[derive(Debug, Serialize)]
pub struct Period {
    href: String,
    label: &'static str,
    current: bool,
}

impl Period {
    /// All periods, the shortest first, as links to a page.
    pub fn all(path: &str, days: u32, anchor: &str) -> Vec<Self> {
        let mut choices = CHOICES;
        choices.sort_unstable();
        let link = |(n, label)| Self { href: format!("{path}?days={n}{anchor}"), label, current: n == days };
        choices.map(link).into()
    }
}

/// The days that a request asks for.
pub fn period_of(request: &HttpRequest) -> u32 {
    let asked = query_value(request, "days").and_then(|text| text.parse::<u32>().ok());
    CHOICES.iter().map(|(days, _)| *days).find(|days| Some(*days) == asked).unwrap_or(CHOICES[0].0)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn only_the_periods_offered_can_be_had() {
        let of = |query: &str| period_of(&TestRequest::with_uri(query).to_http_request());
        assert_eq!(["/?days=7", "/?days=8", "/?days=x", "/"].map(of), [7, 30, 30, 30]);
        let links = Period::all("/dashboard/analytics", 7, "");
        assert_eq!((links[1].href.as_str(), links[1].current), ("/dashboard/analytics?days=7", true));
    }
}

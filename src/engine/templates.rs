//! The built-in workflow templates. They are data; `assets/workflows/` holds them.

use std::sync::LazyLock;

use crate::model::Template;

/// The template used when a client names none.
pub const REVIEW_CHAIN: &str = "review-chain";

static BUILT_IN: LazyLock<Vec<Template>> = LazyLock::new(|| {
    [include_str!("../../assets/workflows/review-chain.json")]
        .iter()
        .map(|text| serde_json::from_str(text).expect("built-in templates are valid; a test reads them all"))
        .collect()
});

/// All templates.
pub fn all() -> &'static [Template] {
    &BUILT_IN
}

/// The template of a name.
pub fn find(name: &str) -> Option<&'static Template> {
    BUILT_IN.iter().find(|t| t.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dependency_names_an_earlier_step() {
        for template in all() {
            for (i, step) in template.steps.iter().enumerate() {
                for needed in &step.depends_on {
                    assert!(template.steps[..i].iter().any(|s| &s.step == needed), "{needed}");
                }
            }
        }
        assert!(find(REVIEW_CHAIN).is_some());
    }
}

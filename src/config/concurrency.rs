//! `MODEL_CONCURRENCY`: how many jobs may run at once, model by model.

/// The most that a limit may be.
const MOST: u32 = 1_000;

/// Limits by the name of a model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelConcurrency {
    named: Vec<(String, u32)>,
    /// Of each model that is not named.
    others: Option<u32>,
}

impl ModelConcurrency {
    /// The limit of a model, if it has one.
    pub fn of(&self, model: &str) -> Option<u32> {
        let named = self.named.iter().find(|(name, _)| name == model).map(|(_, limit)| *limit);
        named.or(self.others)
    }
}

/// Reads `gpt-4o=8,*=64`.
pub(super) fn parse(text: String) -> Result<ModelConcurrency, String> {
    let mut limits = ModelConcurrency::default();
    for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let problem = |why: &str| {
            format!("must be a list such as gpt-4o=8,*=64 with numbers from 1 to {MOST}: '{entry}' {why}")
        };
        // A model's name may have a sign of equality in it, a number has none.
        let (name, number) = entry.rsplit_once('=').ok_or_else(|| problem("has no '='"))?;
        let (name, number) = (name.trim(), number.trim());
        let limit: u32 = number.parse().map_err(|_| problem("has no whole number"))?;
        if name.is_empty() {
            return Err(problem("names no model"));
        }
        if !(1..=MOST).contains(&limit) {
            return Err(problem("is out of bounds"));
        }
        let known = match name {
            "*" => limits.others.replace(limit).is_some(),
            _ => limits.named.iter().any(|(known, _)| known == name),
        };
        if known {
            return Err(problem("names a model for the second time"));
        }
        if name != "*" {
            limits.named.push((name.to_owned(), limit));
        }
    }
    Ok(limits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_has_its_own_limit_or_that_of_all_others() {
        let limits = parse(" gpt-4o=8, *=64 ,llama=3.2=1,".to_owned()).unwrap();
        assert_eq!(
            [limits.of("gpt-4o"), limits.of("llama=3.2"), limits.of("x")],
            [Some(8), Some(1), Some(64)]
        );
        assert_eq!(parse("a=1".to_owned()).unwrap().of("b"), None);
        assert_eq!(parse(String::new()).unwrap().of("b"), None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, why) in [
            ("gpt-4o", "has no '='"),
            ("gpt-4o=many", "no whole number"),
            ("gpt-4o=0", "out of bounds"),
            ("gpt-4o=1001", "out of bounds"),
            ("=3", "names no model"),
            ("a=1,b=2,a=3", "'a=3' names a model for the second time"),
            ("*=1,*=2", "for the second time"),
        ] {
            let problem = parse(text.to_owned()).unwrap_err();
            assert!(problem.contains(why), "{text}: {problem}");
        }
    }
}

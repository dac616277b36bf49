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
    /// The limit of a model that goes by these names, if it has one, and the name that the limit has: the
    /// first one that is listed, or else the last one.
    pub fn of_first<'a>(&self, names: &[&'a str]) -> (&'a str, Option<u32>) {
        let listed = |name: &str| self.named.iter().find(|(known, _)| known == name).map(|(_, limit)| *limit);
        let named = names.iter().find_map(|name| Some((*name, Some(listed(name)?))));
        named.unwrap_or_else(|| (names.last().copied().unwrap_or_default(), self.others))
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
        let of = |limits: &ModelConcurrency, name: &str| limits.of_first(&[name]).1;
        assert_eq!(["gpt-4o", "llama=3.2", "x"].map(|name| of(&limits, name)), [Some(8), Some(1), Some(64)]);
        assert_eq!(of(&parse("a=1".to_owned()).unwrap(), "b"), None);
        assert_eq!(of(&parse(String::new()).unwrap(), "b"), None);
    }

    #[test]
    fn a_model_has_the_limit_of_whichever_of_its_names_is_listed() {
        let limits = parse("groq/a=2,b=3".to_owned()).unwrap();
        assert_eq!(limits.of_first(&["groq/a", "a"]), ("groq/a", Some(2)));
        assert_eq!(limits.of_first(&["groq/b", "b"]), ("b", Some(3)));
        assert_eq!(limits.of_first(&["other/a", "a"]), ("a", None));
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

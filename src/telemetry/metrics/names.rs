//! The bound on labels whose values come from outside: the first so many keep their names, and all others
//! share one.

use std::{
    collections::BTreeSet,
    sync::{PoisonError, RwLock},
};

/// What stands for everything that has no name of its own.
pub const OTHER: &str = "other";

/// A longer name has none.
const MAX_CHARS: usize = 120;

/// The names that are known so far.
#[derive(Debug)]
pub struct Names {
    most: usize,
    known: RwLock<BTreeSet<Box<str>>>,
}

impl Names {
    /// At most so many.
    pub const fn new(most: usize) -> Self {
        Self { most, known: RwLock::new(BTreeSet::new()) }
    }

    /// The name itself if it is known or there is room for it, else [`OTHER`].
    pub fn admit<'a>(&self, name: &'a str) -> &'a str {
        if self.known.read().unwrap_or_else(PoisonError::into_inner).contains(name) {
            return name;
        }
        if name.is_empty() || name.chars().nth(MAX_CHARS).is_some() {
            return OTHER;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= self.most && !known.contains(name) {
            return OTHER;
        }
        known.insert(name.into());
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_names_are_kept_and_the_rest_share_one() {
        let names = Names::new(2);
        assert_eq!(
            ["a", "b", "c", "a", "b", ""].map(|name| names.admit(name)),
            ["a", "b", OTHER, "a", "b", OTHER]
        );
        assert_eq!(Names::new(2).admit(&"x".repeat(MAX_CHARS + 1)), OTHER);
    }
}

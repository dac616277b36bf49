//! What arguments may be that clap has no word for: ids and names that are there, and amounts of dollars.

/// An id. An empty one is a variable that is not set, and its path would be that of a list.
pub(super) fn id(text: &str) -> Result<String, String> {
    filled(text, "id")
}

/// A name, for the same reason.
pub(super) fn name(text: &str) -> Result<String, String> {
    filled(text, "name")
}

fn filled(text: &str, what: &str) -> Result<String, String> {
    match text.trim().is_empty() {
        true => Err(format!("the {what} is empty")),
        false => Ok(text.to_owned()),
    }
}

/// US dollars, above 0.
pub(super) fn dollars(text: &str) -> Result<f64, String> {
    let amount: f64 = text.parse().map_err(|_| "must be a number such as 2.50".to_owned())?;
    match amount.is_finite() && amount > 0.0 {
        true => Ok(amount),
        false => Err("must be above 0".to_owned()),
    }
}

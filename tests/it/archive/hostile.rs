//! Hostile archives of every kind, each with the reason for which it has to be refused. All are small,
//! and all are refused with the limits of the product.

use std::sync::LazyLock;

mod content;
mod names;
mod structure;

/// What it is, the file, and the stable name of the reason.
pub type Hostile = (&'static str, Vec<u8>, &'static str);

/// All of them.
pub fn hostile() -> &'static [Hostile] {
    static ALL: LazyLock<Vec<Hostile>> =
        LazyLock::new(|| [names::hostile(), structure::hostile(), content::hostile()].concat());
    &ALL
}

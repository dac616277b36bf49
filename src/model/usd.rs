//! Money: US dollars, counted in whole billionths so that sums are exact.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type},
};

const NANOS: f64 = 1e9;

/// An amount of US dollars. In JSON it is a number of dollars.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Usd {
    nanos: u64,
}

impl Usd {
    pub const ZERO: Self = Self { nanos: 0 };

    /// From billionths of a dollar.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self { nanos }
    }

    /// From dollars, rounded to a billionth; `None` for what is no amount (negative, not finite).
    pub fn from_dollars(dollars: f64) -> Option<Self> {
        // Larger sums than the national debts of this world are nonsense and would not fit.
        let fits = dollars.is_finite() && (0.0..1e9).contains(&dollars);
        fits.then(|| Self { nanos: (dollars * NANOS).round() as u64 })
    }

    pub const fn nanos(self) -> u64 {
        self.nanos
    }

    pub fn dollars(self) -> f64 {
        self.nanos as f64 / NANOS
    }
}

impl std::ops::Add for Usd {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { nanos: self.nanos.saturating_add(other.nanos) }
    }
}

impl std::ops::AddAssign for Usd {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// `$0.0042`: as many digits as it takes to see small amounts, two for large ones.
impl std::fmt::Display for Usd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let dollars = self.dollars();
        match self.nanos {
            0 => f.write_str("$0"),
            1..10_000 => write!(f, "${dollars:.9}"),
            10_000..10_000_000 => write!(f, "${dollars:.6}"),
            10_000_000..1_000_000_000 => write!(f, "${dollars:.4}"),
            _ => write!(f, "${dollars:.2}"),
        }
    }
}

impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_f64(self.dollars())
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let dollars = f64::deserialize(d)?;
        Self::from_dollars(dollars)
            .ok_or_else(|| serde::de::Error::custom("an amount of dollars is a number from 0 to 999,999,999"))
    }
}

impl PartialSchema for Usd {
    fn schema() -> RefOr<Schema> {
        let object = ObjectBuilder::new()
            .schema_type(Type::Number)
            .minimum(Some(0.0))
            .description(Some("US dollars"))
            .examples([serde_json::json!(0.00042)]);
        RefOr::T(Schema::Object(object.build()))
    }
}

impl ToSchema for Usd {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_small_amounts_are_exact() {
        let tenth = Usd::from_dollars(0.1).unwrap();
        let sum = (0..10).fold(Usd::ZERO, |sum, _| sum + tenth);
        assert_eq!(sum, Usd::from_dollars(1.0).unwrap());
        assert_eq!(serde_json::to_string(&sum).unwrap(), "1.0");
    }

    #[test]
    fn json_keeps_every_amount() {
        for nanos in [0, 1, 150, 42_000, 999_999_999, 1_234_567_890_123] {
            let usd = Usd::from_nanos(nanos);
            let json = serde_json::to_string(&usd).unwrap();
            assert_eq!(serde_json::from_str::<Usd>(&json).unwrap(), usd, "{json}");
        }
        assert!(serde_json::from_str::<Usd>("-1").is_err());
        assert!(serde_json::from_str::<Usd>("1e300").is_err());
    }

    #[test]
    fn small_amounts_show() {
        for (nanos, text) in [
            (0, "$0"),
            (150, "$0.000000150"),
            (420_000, "$0.000420"),
            (42_000_000, "$0.0420"),
            (12_345_678_901, "$12.35"),
        ] {
            assert_eq!(Usd::from_nanos(nanos).to_string(), text);
        }
    }
}

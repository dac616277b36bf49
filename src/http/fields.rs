//! Tables of request fields, and the check that names every bad one at once in the words of
//! FastAPI, which legacy clients know. What a field may contain is looked at by the services.

use serde_json::{Value, json};

use super::error::FieldError;

/// What a field may be.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    Text,
    Texts,
    Flag,
    /// A whole number from 0 to this.
    Whole(u64),
    /// A whole number from the first to the second.
    Range(u64, u64),
    /// A number of seconds from 0 to this; fractions are allowed.
    Seconds(u64),
    /// A number of dollars from 0 to this; fractions are allowed.
    Dollars(u64),
    Object,
    /// An object with these fields.
    Parts(&'static [Field]),
    OneOf(&'static [&'static str]),
}

/// One field of a request.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    pub name: &'static str,
    pub shape: Shape,
    required: bool,
    nullable: bool,
}

impl Field {
    /// Must be there.
    pub const fn required(name: &'static str, shape: Shape) -> Self {
        Self { name, shape, required: true, nullable: false }
    }

    /// May be missing or null.
    pub const fn optional(name: &'static str, shape: Shape) -> Self {
        Self { name, shape, required: false, nullable: true }
    }

    /// Whether null stands for a missing one.
    pub const fn may_be_null(&self) -> bool {
        self.nullable
    }

    /// May be missing, but not null.
    pub const fn defaulted(name: &'static str, shape: Shape) -> Self {
        Self { name, shape, required: false, nullable: false }
    }
}

/// The words that a priority may be.
pub const PRIORITIES: Shape = Shape::OneOf(&["high", "normal", "low"]);

/// Every complaint about a body, in the order of the table.
pub fn check(body: &Value, fields: &[Field]) -> Result<(), Vec<FieldError>> {
    if !body.is_object() {
        let msg = "Input should be a valid dictionary or object to extract fields from";
        return Err(vec![FieldError::new("model_attributes_type", vec![json!("body")], msg)]);
    }
    let mut errors = Vec::new();
    check_fields(body, fields, &[json!("body")], &mut errors);
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn check_fields(body: &Value, fields: &[Field], place: &[Value], errors: &mut Vec<FieldError>) {
    for field in fields {
        let loc = || [place, &[json!(field.name)]].concat();
        match body.get(field.name) {
            None if field.required => {
                errors.push(FieldError::new("missing", loc(), "Field required").input(body.clone()));
            }
            None => {}
            Some(Value::Null) if field.nullable => {}
            Some(value) => check_value(value, field.shape, &loc, errors),
        }
    }
}

fn check_value(value: &Value, shape: Shape, loc: &dyn Fn() -> Vec<Value>, errors: &mut Vec<FieldError>) {
    let mut complain = |kind, msg: &str| errors.push(FieldError::new(kind, loc(), msg));
    match shape {
        Shape::Text if !value.is_string() => complain("string_type", "Input should be a valid string"),
        Shape::Flag if !value.is_boolean() => complain("bool_type", "Input should be a valid boolean"),
        Shape::Object if !value.is_object() => complain("dict_type", "Input should be a valid dictionary"),
        Shape::Parts(_) if !value.is_object() => complain("dict_type", "Input should be a valid dictionary"),
        Shape::Parts(fields) => check_fields(value, fields, &loc(), errors),
        Shape::Whole(max) => whole(value, 0, max, &mut complain),
        Shape::Range(min, max) => whole(value, min, max, &mut complain),
        Shape::Seconds(max) | Shape::Dollars(max) => match value.as_f64() {
            Some(number) if number < 0.0 => {
                complain("greater_than_equal", "Input should be greater than or equal to 0");
            }
            Some(number) if number > max as f64 => {
                complain("less_than_equal", &format!("Input should be less than or equal to {max}"));
            }
            Some(_) => {}
            None => complain("float_type", "Input should be a valid number"),
        },
        Shape::OneOf(words) if !value.as_str().is_some_and(|v| words.contains(&v)) => {
            let quoted: Vec<String> = words.iter().map(|w| format!("'{w}'")).collect();
            let (last, first) = quoted.split_last().map_or(("", &[][..]), |(l, f)| (l.as_str(), f));
            complain("literal_error", &format!("Input should be {} or {last}", first.join(", ")));
        }
        Shape::Texts => match value.as_array() {
            None => complain("list_type", "Input should be a valid list"),
            Some(items) => {
                for (i, _) in items.iter().enumerate().filter(|(_, item)| !item.is_string()) {
                    let mut at = loc();
                    at.push(json!(i));
                    errors.push(FieldError::new("string_type", at, "Input should be a valid string"));
                }
            }
        },
        _ => {}
    }
}

/// Numbers such as `3.0` are whole to JSON and to other languages; here they become so.
pub fn make_whole(body: &mut Value, fields: &[Field]) {
    for field in fields {
        let Some(value) = body.get_mut(field.name) else { continue };
        match field.shape {
            Shape::Whole(_) | Shape::Range(..) => {
                // Beyond 2^53 a fraction cannot be seen any more.
                let whole = |n: &f64| n.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(n);
                if value.is_f64()
                    && let Some(number) = value.as_f64().filter(whole)
                {
                    *value = json!(number as u64);
                }
            }
            Shape::Parts(parts) => make_whole(value, parts),
            _ => {}
        }
    }
}

fn whole(value: &Value, min: u64, max: u64, complain: &mut impl FnMut(&'static str, &str)) {
    match value.as_u64() {
        Some(number) if (min..=max).contains(&number) => {}
        Some(number) if number > max => {
            complain("less_than_equal", &format!("Input should be less than or equal to {max}"));
        }
        None if value.as_i64().is_none() => complain("int_type", "Input should be a valid integer"),
        _ => complain("greater_than_equal", &format!("Input should be greater than or equal to {min}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: &[Field] = &[
        Field::required("name", Shape::Text),
        Field::required("role", Shape::Text),
        Field::defaulted("skills", Shape::Texts),
        Field::optional("priority", PRIORITIES),
        Field::optional("rounds", Shape::Whole(10)),
        Field::optional("budget", Shape::Parts(&[Field::optional("usd", Shape::Dollars(9))])),
    ];

    fn complaints(body: Value) -> Vec<(String, Value)> {
        check(&body, FIELDS)
            .err()
            .unwrap_or_default()
            .into_iter()
            .map(|e| (e.kind.into_owned(), json!(e.loc[1..])))
            .collect()
    }

    #[test]
    fn every_bad_field_is_named_at_once() {
        let found =
            complaints(json!({"name": 1, "skills": ["a", 2, null], "priority": "wild", "rounds": -1}));
        let expected = [
            ("string_type", json!(["name"])),
            ("missing", json!(["role"])),
            ("string_type", json!(["skills", 1])),
            ("string_type", json!(["skills", 2])),
            ("literal_error", json!(["priority"])),
            ("greater_than_equal", json!(["rounds"])),
        ];
        assert_eq!(found, expected.map(|(kind, loc)| (kind.to_owned(), loc)));
    }

    #[test]
    fn fields_inside_an_object_are_named_with_their_way() {
        let found = |budget: Value| complaints(json!({"name": "", "role": "", "budget": budget}));
        assert_eq!(found(json!({"usd": 0.5})), []);
        assert_eq!(found(json!({"usd": "1"})), [("float_type".to_owned(), json!(["budget", "usd"]))]);
        assert_eq!(found(json!({"usd": 10})), [("less_than_equal".to_owned(), json!(["budget", "usd"]))]);
        assert_eq!(found(json!(1)), [("dict_type".to_owned(), json!(["budget"]))]);
    }

    #[test]
    fn a_whole_number_may_be_written_with_a_fraction_of_nothing() {
        let made = |number: Value| {
            let mut body = json!({"name": 2.0, "rounds": number, "budget": {"usd": 3.0}});
            make_whole(&mut body, FIELDS);
            assert_eq!(body["name"], json!(2.0), "no number was asked for");
            body["rounds"].clone()
        };
        assert_eq!(made(json!(3.0)), json!(3));
        assert_eq!(made(json!(3.5)), json!(3.5));
        assert_eq!(made(json!(-1.0)), json!(-1.0));
        assert_eq!(made(json!(1e300)), json!(1e300));
        assert_eq!(complaints(json!({"name": "", "role": "", "rounds": 1e300}))[0].0, "int_type");
    }

    #[test]
    fn unknown_fields_and_allowed_nulls_are_no_complaint() {
        assert_eq!(complaints(json!({"name": "", "role": "", "priority": null, "what": [1]})), []);
        assert_eq!(complaints(json!({"name": "", "role": "", "skills": null}))[0].0, "list_type");
        assert_eq!(complaints(json!([]))[0].0, "model_attributes_type");
    }
}

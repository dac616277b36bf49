//! The bounds of request fields, from the tables that requests are checked against: what the document
//! says of a number is what is done.

use serde_json::Value;
use utoipa::{
    ToSchema,
    openapi::{
        RefOr, Schema,
        schema::{Components, Object},
    },
};

use crate::{
    http::{
        api::{jobs, workflows},
        extract::RequestBody,
        fields::{Field, Shape},
    },
    model::{Budget, NewAgent},
    service::{tasks::NewTask, workflows::NewWorkflow},
};

/// The bodies with bounds of numbers or words in them.
fn tables() -> Vec<(String, &'static [Field])> {
    fn of<T: RequestBody + ToSchema>() -> (String, &'static [Field]) {
        (T::name().into_owned(), T::FIELDS)
    }
    vec![
        of::<NewWorkflow>(),
        of::<NewTask>(),
        of::<NewAgent>(),
        of::<Budget>(),
        of::<jobs::bulk::BulkRequest>(),
        (jobs::bulk::BulkFilter::name().into_owned(), jobs::bulk::FILTER_FIELDS),
        of::<workflows::bulk::WorkflowBulk>(),
    ]
}

/// Puts the bounds of every table into its schema.
pub(super) fn add(components: &mut Components) {
    for (name, fields) in tables() {
        let Some(RefOr::T(Schema::Object(schema))) = components.schemas.get_mut(&name) else { continue };
        for field in fields {
            if let Some(RefOr::T(Schema::Object(property))) = schema.properties.get_mut(field.name) {
                bound(property, field);
            }
        }
    }
}

fn bound(property: &mut Object, field: &Field) {
    let range = match field.shape {
        Shape::Whole(max) | Shape::Seconds(max) | Shape::Dollars(max) => Some((0, max)),
        Shape::Range(min, max) => Some((min, max)),
        _ => None,
    };
    if let Some((min, max)) = range {
        property.minimum = Some(number(min));
        property.maximum = Some(number(max));
    }
    if let Shape::OneOf(words) = field.shape {
        let null = field.may_be_null().then_some(Value::Null);
        property.enum_values = Some(words.iter().map(|word| Value::from(*word)).chain(null).collect());
    }
}

fn number(bound: u64) -> utoipa::Number {
    // A bound that a machine's word cannot hold does not exist here.
    isize::try_from(bound).map_or(utoipa::Number::Float(bound as f64), utoipa::Number::Int)
}

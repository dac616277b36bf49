//! What servers do not take, learned from their complaints, once for each model.
//!
//! Everybody speaks the same protocol and nobody speaks all of it: the longest answer has two names, forms
//! of answers come in two kinds that not everybody knows, streams have options that some refuse. A complaint
//! is answered with one step towards what everybody takes, and remembered.

use super::wire::LimitField;
use crate::llm::{ModelError, ModelErrorKind};

/// How an answer is asked for in a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Form {
    /// By its schema.
    Schema,
    /// As any JSON object; the prompt says which.
    Object,
    /// By the prompt alone.
    Prompt,
}

/// What a model is known to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quirks {
    pub limit_field: LimitField,
    pub form: Form,
    /// Whether a stream may be asked to count its tokens.
    pub stream_options: bool,
    pub stream: bool,
}

/// What the last request consisted of, as far as a server may complain about it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub limited: bool,
    pub formed: bool,
    pub streamed: bool,
}

/// Words by which a server says that it does not take something, and not that its value is wrong.
const REFUSALS: &[&str] = &[
    "unsupported",
    "not supported",
    "does not support",
    "doesn't support",
    "unrecognized",
    "unknown",
    "not permitted",
    "not allowed",
    "unexpected",
    "extra",
    "must be",
    "should be",
    "invalid",
    "not implemented",
    "not available",
];

impl Quirks {
    /// The next thing to try after a complaint; `None` when it is about something else.
    pub fn after(self, error: &ModelError, asked: Asked) -> Option<Self> {
        // Some servers call a field that they do not know a fault of their own.
        if !matches!(error.kind, ModelErrorKind::BadRequest | ModelErrorKind::Unavailable) {
            return None;
        }
        let words = error.message.to_lowercase();
        let refuses = REFUSALS.iter().any(|refusal| words.contains(refusal));
        let about = |names: &[&str]| refuses && names.iter().any(|name| words.contains(name));
        if asked.limited && about(&[self.limit_field.as_str()]) && !is_too_large(&words) {
            return Some(Self { limit_field: self.limit_field.other(), ..self });
        }
        if asked.streamed && self.stream_options && about(&["stream_options", "include_usage"]) {
            return Some(Self { stream_options: false, ..self });
        }
        let forms =
            ["response_format", "json_schema", "json_object", "structured output", "text.format", "grammar"];
        if asked.formed && about(&forms) {
            let form = match self.form {
                // LM Studio's complaint about the second kind names the first.
                Form::Schema => Form::Object,
                Form::Object => Form::Prompt,
                Form::Prompt => return None,
            };
            return Some(Self { form, ..self });
        }
        if asked.streamed && self.stream && about(&["stream"]) {
            return Some(Self { stream: false, ..self });
        }
        None
    }
}

/// `max_tokens is too large: this model supports at most …` is about the number.
fn is_too_large(words: &str) -> bool {
    words.contains("too large") || words.contains("at most") || words.contains("less than")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Quirks =
        Quirks { limit_field: LimitField::MaxTokens, form: Form::Schema, stream_options: true, stream: true };
    const ALL: Asked = Asked { limited: true, formed: true, streamed: true };

    #[test]
    fn every_complaint_leads_one_step_on() {
        for (words, next) in [
            (
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
                Some(Quirks { limit_field: LimitField::MaxCompletionTokens, ..FIRST }),
            ),
            ("max_tokens is too large: 99999. This model supports at most 4096 completion tokens", None),
            (
                "Unrecognized request argument supplied: stream_options",
                Some(Quirks { stream_options: false, ..FIRST }),
            ),
            (
                "body.stream_options: Extra inputs are not permitted",
                Some(Quirks { stream_options: false, ..FIRST }),
            ),
            (
                "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.",
                Some(Quirks { form: Form::Object, ..FIRST }),
            ),
            (
                "response_format type must be one of \"text\" or \"json_object\", but got: json_schema",
                Some(Quirks { form: Form::Object, ..FIRST }),
            ),
            ("Streaming is not supported for this model", Some(Quirks { stream: false, ..FIRST })),
            ("The temperature must be between 0 and 2", None),
            ("messages: at least one is needed", None),
        ] {
            let error = ModelError::new(ModelErrorKind::BadRequest, words);
            assert_eq!(FIRST.after(&error, ALL), next, "{words}");
        }
    }

    #[test]
    fn the_ladder_of_forms_ends_at_the_prompt() {
        let complaint = ModelError::new(
            ModelErrorKind::BadRequest,
            "'response_format.type' must be 'json_schema' or 'text'",
        );
        let object = Quirks { form: Form::Object, ..FIRST };
        let prompt = object.after(&complaint, ALL).unwrap();
        assert_eq!(prompt.form, Form::Prompt);
        assert_eq!(prompt.after(&complaint, ALL), None);
        let unasked = Asked { formed: false, ..ALL };
        assert_eq!(FIRST.after(&complaint, unasked), None, "what was not asked for is not to blame");
    }

    #[test]
    fn other_errors_teach_nothing() {
        for kind in [ModelErrorKind::RateLimited, ModelErrorKind::Auth, ModelErrorKind::ContextTooLong] {
            let error = ModelError::new(kind, "unsupported: max_tokens, response_format, stream_options");
            assert_eq!(FIRST.after(&error, ALL), None);
        }
    }
}

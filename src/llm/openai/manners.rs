//! What a server takes and what not. It is found out from its complaints, once for each model, and kept
//! in mind.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::wire::Question;

/// Models with complaints that are remembered; whoever asks for more of them is inventing names.
const MOST_REMEMBERED: usize = 1_000;

/// What the field for the longest answer of chat completions is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LimitField {
    /// Almost everywhere.
    MaxTokens,
    /// At OpenAI, whose newer models refuse the old name.
    MaxCompletionTokens,
}

impl LimitField {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
        }
    }
}

/// How a form of the answer is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rung {
    /// With its schema.
    Schema,
    /// As any JSON object.
    Object,
    /// Not at all: the prompt has to do.
    Nothing,
}

/// How requests to one model look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Manners {
    pub limit: LimitField,
    pub rung: Rung,
    /// Whether a schema is meant strictly.
    pub strict: bool,
    pub stream: bool,
    /// Whether a stream is asked to end with its usage.
    pub stream_options: bool,
    /// Whether it is asked to leave out its padding, which only OpenAI sends.
    pub obfuscation: bool,
    /// Whether the provider is told to store nothing, which only OpenAI would.
    pub store: bool,
}

/// What an error complains about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Complaint {
    /// The name of the field for the longest answer.
    LimitField,
    /// This kind of form of the answer.
    Format,
    /// This one schema, not schemas as such.
    Schema,
    Strict,
    StreamOptions,
    Stream,
    Store,
    /// The model cannot use tools: nothing to adapt.
    Tools,
}

impl Manners {
    /// The next request after a complaint; `None`: nothing that was sent is complained about. Whether
    /// it holds for other requests too comes with it.
    pub(super) fn after(self, complaint: Complaint, question: &Question<'_>) -> Option<(Self, bool)> {
        let asks_for_form = question.schema.is_some() && self.rung != Rung::Nothing;
        let with_schema = asks_for_form && self.rung == Rung::Schema;
        let less = match self.rung {
            Rung::Schema => Rung::Object,
            Rung::Object | Rung::Nothing => Rung::Nothing,
        };
        let next = match complaint {
            Complaint::LimitField if question.max_tokens.is_some() => Self {
                limit: match self.limit {
                    LimitField::MaxTokens => LimitField::MaxCompletionTokens,
                    LimitField::MaxCompletionTokens => LimitField::MaxTokens,
                },
                ..self
            },
            Complaint::Strict if with_schema && self.strict => Self { strict: false, ..self },
            Complaint::Schema if with_schema && self.strict => Self { strict: false, ..self },
            Complaint::Format | Complaint::Schema | Complaint::Strict if asks_for_form => {
                Self { rung: less, ..self }
            }
            Complaint::StreamOptions if self.stream && (self.stream_options || self.obfuscation) => {
                Self { stream_options: false, obfuscation: false, ..self }
            }
            Complaint::Stream if self.stream => Self { stream: false, ..self },
            Complaint::Store if self.store => Self { store: false, ..self },
            _ => return None,
        };
        Some((next, complaint != Complaint::Schema))
    }
}

/// What was learned of models. What a model takes together with tools is another matter than what it
/// takes without.
#[derive(Debug, Default)]
pub(super) struct Memory {
    learned: Mutex<HashMap<(String, bool), Manners>>,
}

impl Memory {
    pub(super) fn recall(&self, question: &Question<'_>) -> Option<Manners> {
        self.lock().get(&key(question)).copied()
    }

    pub(super) fn learn(&self, question: &Question<'_>, manners: Manners) {
        let mut learned = self.lock();
        if learned.len() >= MOST_REMEMBERED {
            learned.clear();
        }
        learned.insert(key(question), manners);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, bool), Manners>> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(question: &Question<'_>) -> (String, bool) {
    (question.model.to_owned(), !question.tools.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::OutputSchema;

    const USUAL: Manners = Manners {
        limit: LimitField::MaxTokens,
        rung: Rung::Schema,
        strict: true,
        stream: true,
        stream_options: true,
        obfuscation: false,
        store: false,
    };

    #[test]
    fn a_complaint_about_what_was_not_sent_changes_nothing() {
        let bare = Question { model: "m", messages: &[], tools: &[], schema: None, max_tokens: None };
        for complaint in [
            Complaint::LimitField,
            Complaint::Format,
            Complaint::Schema,
            Complaint::Strict,
            Complaint::Store,
            Complaint::Tools,
        ] {
            assert_eq!(USUAL.after(complaint, &bare), None, "{complaint:?}");
        }
        let quiet = Manners { stream: false, ..USUAL };
        assert_eq!(quiet.after(Complaint::StreamOptions, &bare), None);
        assert_eq!(quiet.after(Complaint::Stream, &bare), None);
    }

    #[test]
    fn the_form_goes_down_the_ladder_and_ends_at_its_foot() {
        let schema = OutputSchema { name: "x".to_owned(), schema: serde_json::json!({}) };
        let question =
            Question { model: "m", messages: &[], tools: &[], schema: Some(&schema), max_tokens: Some(1) };
        let (object, kept) = USUAL.after(Complaint::Format, &question).unwrap();
        assert_eq!((object.rung, kept), (Rung::Object, true));
        let (nothing, _) = object.after(Complaint::Format, &question).unwrap();
        assert_eq!(nothing.rung, Rung::Nothing);
        assert_eq!(nothing.after(Complaint::Format, &question), None);

        let (lax, kept) = USUAL.after(Complaint::Schema, &question).unwrap();
        assert_eq!((lax.rung, lax.strict, kept), (Rung::Schema, false, false));
        assert_eq!(lax.after(Complaint::Schema, &question).unwrap().0.rung, Rung::Object);
    }

    #[test]
    fn what_is_learned_is_known_for_that_model_and_bounded() {
        let memory = Memory::default();
        fn of(model: &str) -> Question<'_> {
            Question { model, messages: &[], tools: &[], schema: None, max_tokens: None }
        }
        memory.learn(&of("a"), Manners { stream: false, ..USUAL });
        assert!(!memory.recall(&of("a")).unwrap().stream);
        assert_eq!(memory.recall(&of("b")), None);
        for n in 0..2 * MOST_REMEMBERED {
            memory.learn(&of(&n.to_string()), USUAL);
        }
        assert!(memory.lock().len() <= MOST_REMEMBERED);
    }
}

//! Conversations with models that come to an end, that do not, and that do anything.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::tool_loop::*;
use crate::model::{ToolCall, ToolOutput};

/// A conversation as it grows.
#[derive(Default)]
struct Talk {
    rounds: Vec<(Vec<ToolCall>, Vec<ToolOutput>)>,
    limits: Limits,
}

impl Talk {
    fn rounds(&self) -> Vec<Round<'_>> {
        self.rounds.iter().map(|(asked, outputs)| Round { asked, outputs }).collect()
    }

    fn next(&self) -> Next {
        next(&self.rounds(), &self.limits)
    }

    /// The model asks; what runs gives what `give` says.
    fn ask(
        &mut self,
        calls: &[(&str, &str)],
        mut give: impl FnMut(&ToolCall) -> Result<String, String>,
    ) -> Result<Vec<Step>, Stop> {
        let asked: Vec<ToolCall> = calls
            .iter()
            .enumerate()
            .map(|(n, (name, arguments))| ToolCall {
                id: format!("call-{}-{n}", self.rounds.len()),
                name: (*name).to_owned(),
                arguments: (*arguments).to_owned(),
            })
            .collect();
        let steps = tools(&self.rounds(), &asked, &self.limits)?;
        let outputs = asked.iter().zip(&steps).map(|(call, step)| {
            let (content, failed) = match step {
                Step::Warn(text) => (text.clone(), false),
                Step::Run => match give(call) {
                    Ok(text) => (text, false),
                    Err(text) => (text, true),
                },
            };
            ToolOutput {
                tool_call_id: call.id.clone(),
                name: call.name.clone(),
                content,
                failed,
                duration_ms: 1,
            }
        });
        let outputs = outputs.collect();
        self.rounds.push((asked, outputs));
        Ok(steps)
    }

    fn ask_one(&mut self, name: &str, arguments: &str, gives: &str) -> Result<Step, Stop> {
        self.ask(&[(name, arguments)], |_| Ok(gives.to_owned())).map(|steps| steps[0].clone())
    }
}

fn repeated(tool: &str, times: usize) -> Stop {
    Stop::Repeated { tool: tool.to_owned(), times }
}

#[test]
fn the_same_call_runs_once_is_warned_of_once_and_then_stops_it() {
    let mut talk = Talk::default();
    assert_eq!(talk.ask_one("calculator", r#"{"a": 1, "b": 2}"#, "144"), Ok(Step::Run));
    assert_eq!(talk.next(), Next::Continue);
    // The same in other words.
    let Ok(Step::Warn(text)) = talk.ask_one("calculator", r#" {"b": 2.0, "a": 1,} "#, "144") else {
        panic!()
    };
    assert!(text.starts_with("Not run: calculator has been called"), "{text}");
    assert!(text.contains("It gave: 144"), "{text}");
    assert_eq!(talk.next(), Next::Continue);
    let stop = talk.ask_one("calculator", r#"{"a": 1, "b": 2}"#, "144").unwrap_err();
    assert_eq!(stop, repeated("calculator", 3));
    assert_eq!(stop.to_string(), "the model called calculator with the same arguments 3 times");
}

#[test]
fn other_arguments_and_other_tools_are_something_else() {
    let mut talk = Talk::default();
    for n in 0..4 {
        let arguments = format!(r#"{{"a": {n}}}"#);
        assert_eq!(talk.ask_one("calculator", &arguments, &format!("{n}")), Ok(Step::Run));
        assert_eq!(talk.ask_one("other", &arguments, &format!("{n}")), Ok(Step::Run));
    }
}

#[test]
fn what_failed_may_be_tried_again_but_not_for_ever() {
    let mut talk = Talk::default();
    let away = |_: &ToolCall| Err("search failed: it is away".to_owned());
    let call = [("search", r#"{"q": "x"}"#)];
    assert_eq!(talk.ask(&call, away), Ok(vec![Step::Run]));
    assert_eq!(talk.ask(&call, away), Ok(vec![Step::Run]));
    assert_eq!(talk.ask(&call, away), Err(repeated("search", 3)));

    // A failure of another kind begins a new count, and so does success.
    let mut talk = Talk::default();
    assert_eq!(talk.ask(&call, away), Ok(vec![Step::Run]));
    assert_eq!(talk.ask(&call, |_| Err("too slow".to_owned())), Ok(vec![Step::Run]));
    assert_eq!(talk.ask(&call, |_| Ok("found".to_owned())), Ok(vec![Step::Run]));
    assert!(matches!(talk.ask(&call, away).unwrap()[0], Step::Warn(_)));
    assert_eq!(talk.ask(&call, away), Err(repeated("search", 3)));
}

#[test]
fn ping_pong_is_seen() {
    let mut talk = Talk::default();
    assert_eq!(talk.ask_one("ping", "{}", "pong!"), Ok(Step::Run));
    assert_eq!(talk.ask_one("pong", "{}", "ping!"), Ok(Step::Run));
    assert!(matches!(talk.ask_one("ping", "", "pong!"), Ok(Step::Warn(_))));
    assert!(matches!(talk.ask_one("pong", "null", "ping!"), Ok(Step::Warn(_))));
    assert_eq!(talk.ask_one("ping", "{}", "pong!"), Err(repeated("ping", 3)));
}

#[test]
fn twice_in_one_answer_is_once() {
    let mut talk = Talk::default();
    let call = ("calculator", r#"{"a": 1}"#);
    let steps = talk.ask(&[call, call, call, call], |_| Ok("1".to_owned())).unwrap();
    assert_eq!(steps[0], Step::Run);
    for step in &steps[1..] {
        assert!(matches!(step, Step::Warn(text) if text.contains("in this answer twice")), "{step:?}");
    }
    // It counts as one call when it comes again.
    assert!(matches!(talk.ask_one(call.0, call.1, "1"), Ok(Step::Warn(text)) if text.contains("It gave: 1")));
    assert_eq!(talk.ask_one(call.0, call.1, "1"), Err(repeated("calculator", 3)));
}

#[test]
fn an_answer_may_ask_for_eight_tools() {
    let mut talk = Talk::default();
    let arguments: Vec<String> = (0..10).map(|n| format!(r#"{{"n": {n}}}"#)).collect();
    let calls: Vec<(&str, &str)> = arguments.iter().map(|a| ("lookup", a.as_str())).collect();
    let steps = talk.ask(&calls, |call| Ok(call.arguments.clone())).unwrap();
    assert!(steps[..8].iter().all(|step| *step == Step::Run));
    assert!(matches!(&steps[8], Step::Warn(text) if text.contains("no more than 8 tools")), "{steps:?}");
    // What did not run for that reason may come again.
    assert_eq!(talk.ask_one("lookup", &arguments[9], "9"), Ok(Step::Run));
}

#[test]
fn four_rounds_without_anything_new_are_the_end() {
    let mut talk = Talk::default();
    let nothing = |_: &ToolCall| Ok("no results".to_owned());
    for n in 0..4 {
        assert_eq!(talk.ask(&[("search", &format!(r#"{{"q": {n}}}"#))], nothing), Ok(vec![Step::Run]));
        assert_eq!(talk.next(), Next::Continue, "after {n}");
    }
    talk.ask(&[("search", r#"{"q": 4}"#)], nothing).unwrap();
    assert_eq!(talk.next(), Next::Stop(Stop::NoProgress { rounds: 4 }));

    // One new output among old ones is progress, and so is the same text of another tool.
    talk.ask(&[("search", r#"{"q": 5}"#), ("find", r#"{"q": 5}"#)], nothing).unwrap();
    assert_eq!(talk.next(), Next::Continue);
}

#[test]
fn the_last_call_is_made_without_tools() {
    let mut talk = Talk::default();
    for n in 0..11 {
        assert_eq!(talk.next(), Next::Continue, "after {n}");
        let n = n.to_string();
        assert_eq!(talk.ask_one("lookup", &format!(r#"{{"n": {n}}}"#), &n), Ok(Step::Run));
    }
    assert_eq!(talk.next(), Next::LastWord);
    // Asks for tools all the same.
    assert_eq!(talk.ask_one("lookup", r#"{"n": 12}"#, "12"), Err(Stop::TooManyCalls { calls: 12 }));
    talk.rounds.push((Vec::new(), Vec::new()));
    assert_eq!(talk.next(), Next::Stop(Stop::TooManyCalls { calls: 12 }));

    let limits = Limits { max_calls: 1, ..Limits::default() };
    assert_eq!(next(&[], &limits), Next::LastWord);
    assert_eq!(next(&[], &Limits { max_calls: 0, ..limits }), Next::Stop(Stop::TooManyCalls { calls: 0 }));
}

#[test]
fn arguments_that_are_no_json_are_compared_as_they_stand() {
    let mut talk = Talk::default();
    let broken = |_: &ToolCall| Err("no valid JSON".to_owned());
    assert_eq!(talk.ask(&[("calculator", "12 * 12")], broken), Ok(vec![Step::Run]));
    assert_eq!(talk.ask(&[("calculator", " 12 * 12 ")], broken), Ok(vec![Step::Run]));
    assert_eq!(talk.ask(&[("calculator", "12 * 12")], broken), Err(repeated("calculator", 3)));
}

#[test]
fn a_long_output_is_not_said_twice() {
    let mut talk = Talk::default();
    talk.ask_one("read", "{}", &"é".repeat(3_000)).unwrap();
    let Ok(Step::Warn(text)) = talk.ask_one("read", "{}", "") else { panic!() };
    assert!(text.chars().count() < 700, "{text}");
    assert!(text.contains("in full above"), "{text}");
}

proptest! {
    /// Whatever a model asks for and whatever tools give: the conversation ends within its limits, what is
    /// new runs, and nothing that has succeeded runs twice.
    #[test]
    fn every_conversation_ends(
        answers in prop::collection::vec(
            prop::collection::vec((0_u8..3, 0_u8..4), 1..5),
            30,
        ),
        gives in prop::collection::vec(prop_oneof![Just(Err("away")), Just(Ok("a")), Just(Ok("b"))], 7),
        max_calls in 1_usize..14,
    ) {
        let mut talk = Talk { limits: Limits { max_calls, ..Limits::default() }, ..Talk::default() };
        let mut succeeded = std::collections::HashSet::new();
        let mut turn = 0;
        for answer in &answers {
            match talk.next() {
                Next::Continue => prop_assert!(talk.rounds.len() + 1 < max_calls),
                Next::LastWord => {
                    prop_assert_eq!(talk.rounds.len() + 1, max_calls);
                    return Ok(());
                }
                Next::Stop(stop) => {
                    let is_stale = matches!(stop, Stop::NoProgress { rounds } if rounds >= 4);
                    prop_assert!(is_stale, "{:?}", stop);
                    return Ok(());
                }
            }
            let calls: Vec<(String, String)> =
                answer.iter().map(|(t, a)| (format!("tool{t}"), format!("{{\"a\": {a}}}"))).collect();
            let calls: Vec<(&str, &str)> = calls.iter().map(|(t, a)| (t.as_str(), a.as_str())).collect();
            let mut again = false;
            let outcome = talk.ask(&calls, |call| {
                turn += 1;
                let given = gives[turn % gives.len()].map(str::to_owned).map_err(str::to_owned);
                if given.is_ok() {
                    again |= !succeeded.insert((call.name.clone(), call.arguments.clone()));
                }
                given
            });
            prop_assert!(!again, "something ran again that had succeeded");
            match outcome {
                Ok(steps) => prop_assert_eq!(steps.len(), calls.len()),
                Err(Stop::Repeated { times, .. }) => {
                    prop_assert_eq!(times, 3);
                    return Ok(());
                }
                Err(other) => prop_assert!(false, "{:?}", other),
            }
        }
        prop_assert!(false, "it went on for {} rounds", answers.len());
    }

    /// A model that never repeats itself and always learns something is never hindered.
    #[test]
    fn progress_is_never_hindered(names in prop::collection::vec("[a-c]", 11)) {
        let mut talk = Talk::default();
        for (n, name) in names.iter().enumerate() {
            prop_assert_eq!(talk.next(), Next::Continue);
            let step = talk.ask_one(name, &format!("{{\"n\": {n}}}"), &n.to_string());
            prop_assert_eq!(step, Ok(Step::Run));
        }
        prop_assert_eq!(talk.next(), Next::LastWord);
    }
}

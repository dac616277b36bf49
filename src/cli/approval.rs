//! Asks the person at the terminal for a word on work that waits for one.

use std::io::{self, BufRead, Write};

use anyhow::Context;
use tokio::sync::oneshot;

use super::table::printable;

/// What was said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Word {
    Approve,
    /// To be done once more, in this way.
    SendBack(String),
    /// It ends here, for this reason.
    Reject(String),
    /// Nothing now: it goes on waiting.
    Later,
}

/// Asks until there is an answer; the end of the input is none.
pub(super) async fn ask(detail: &str) -> anyhow::Result<Word> {
    let detail = printable(detail);
    let (tell, told) = oneshot::channel();
    // A thread of its own, which nobody waits for: Ctrl-C ends the process although it still reads.
    std::thread::spawn(move || {
        let _ = tell.send(dialogue(&detail, io::stdin().lock(), io::stderr()));
    });
    told.await.context("the terminal cannot be read")?.context("the terminal cannot be read")
}

fn dialogue(detail: &str, mut input: impl BufRead, mut output: impl Write) -> io::Result<Word> {
    let mut line = |output: &mut dyn Write, question: &str| -> io::Result<Option<String>> {
        write!(output, "{question} ")?;
        output.flush()?;
        let mut line = String::new();
        Ok((input.read_line(&mut line)? > 0).then(|| line.trim().to_owned()))
    };
    writeln!(output, "\n{detail}")?;
    loop {
        let Some(choice) = line(&mut output, "[a]pprove, [s]end back, [r]eject, [l]ater?")? else {
            return Ok(Word::Later);
        };
        match choice.to_lowercase().as_str() {
            "a" | "approve" => return Ok(Word::Approve),
            "l" | "later" => return Ok(Word::Later),
            "s" | "send back" => match line(&mut output, "What is to be done differently?")? {
                Some(comment) if !comment.is_empty() => return Ok(Word::SendBack(comment)),
                Some(_) => {}
                None => return Ok(Word::Later),
            },
            "r" | "reject" => match line(&mut output, "Why?")? {
                Some(comment) => return Ok(Word::Reject(comment)),
                None => return Ok(Word::Later),
            },
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(input: &str) -> (Word, String) {
        let mut output = Vec::new();
        let word = dialogue("It waits", input.as_bytes(), &mut output).unwrap();
        (word, String::from_utf8(output).unwrap())
    }

    #[test]
    fn every_answer_is_understood_and_nothing_is_no_answer() {
        assert_eq!(said("a\n").0, Word::Approve);
        assert_eq!(said("what\nApprove\n").0, Word::Approve);
        assert_eq!(said("s\n\ns\nshorter\n").0, Word::SendBack("shorter".to_owned()));
        assert_eq!(said("r\nno\n").0, Word::Reject("no".to_owned()));
        assert_eq!(said("l\n").0, Word::Later);
        assert_eq!(said("").0, Word::Later);
        assert_eq!(said("s\n").0, Word::Later);
        assert!(said("a\n").1.starts_with("\nIt waits\n[a]pprove"));
    }
}

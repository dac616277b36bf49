//! What commands that ask a server print of its answers.

use std::process::ExitCode;

use serde_json::Value;

use super::{Failure, complain, say, table::printable};

/// Does it to each of what is named and says of each how it went.
pub(super) async fn each(
    ids: &[String],
    json: bool,
    done: &str,
    ask: impl AsyncFn(&str) -> Result<Value, Failure>,
) -> Result<ExitCode, Failure> {
    let (mut answers, mut failed) = (Vec::new(), false);
    for id in ids {
        match ask(id).await {
            Ok(answer) if json => answers.push(answer),
            Ok(_) => say(&format!("{}  {done}", printable(id))),
            Err(Failure::Failed(error)) if ids.len() > 1 => {
                complain(&format!("{}: {error:#}", printable(id)));
                failed = true;
            }
            Err(error) => return Err(error),
        }
    }
    if json {
        say(&pretty(&Value::Array(answers)));
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// JSON for people.
pub(super) fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

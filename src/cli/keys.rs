//! `productforge keys`: the named API keys of a running server; make and revoke.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    Failure,
    client::{Client, Server},
    given, note,
    process::runtime,
    say,
    table::{cell, table, time},
};

const EXAMPLES: &str = "\
They ask a running server: --server or PRODUCTFORGE_SERVER says which, API_KEY is sent as its key, which
must be the server's own or one of scope admin. A server that was started without API_KEY lets
everybody in and makes no keys.

read   looks at everything but keys and the audit log
run    also gives work and steers it
admin  also sees keys and the audit log, makes backups, deletes, and changes agents, queues,
       workers, providers, budgets and keys

`create` prints the key alone on standard output, once: nobody can show it again.

Examples:
  productforge keys create ci --scope run --expires-in-days 90
  productforge keys create grafana --scope read --requests-per-minute 60
  productforge keys create intern --scope run --budget-usd 2.50
  productforge keys list
  productforge keys revoke ci";

/// Make, show and revoke the API keys of a running server
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(super) struct Args {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// All of them, with their last use and what their work has used
    List,
    /// Make a key and print it, once
    Create {
        /// Who has it: letters, digits, dots, dashes
        #[arg(value_parser = given::name)]
        name: String,
        /// read, run or admin
        #[arg(long)]
        scope: String,
        /// From when on it opens nothing [default: no end]
        #[arg(long, value_name = "DAYS")]
        expires_in_days: Option<u32>,
        /// How many requests a minute it may send [default: what holds for all keys]
        #[arg(long, value_name = "N")]
        requests_per_minute: Option<u32>,
        /// What its work may cost in a day, in US dollars [default: KEY_BUDGET_USD]
        #[arg(long, value_name = "USD", allow_negative_numbers = true, value_parser = given::dollars)]
        budget_usd: Option<f64>,
        /// How many tokens its work may use in a day [default: KEY_BUDGET_TOKENS]
        #[arg(long, value_name = "TOKENS")]
        budget_tokens: Option<u64>,
    },
    /// Let a key open nothing any more, on all nodes within three seconds
    Revoke {
        /// Its name or its id
        #[arg(value_name = "KEY", value_parser = given::name)]
        named: String,
    },
}

pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    let client = args.server.client()?;
    runtime()?.block_on(work(&client, args.verb, args.server.json))?;
    Ok(ExitCode::SUCCESS)
}

async fn work(client: &Client, verb: Verb, json: bool) -> Result<(), Failure> {
    match verb {
        Verb::List => list(client, json).await,
        Verb::Create { name, scope, expires_in_days, requests_per_minute, budget_usd, budget_tokens } => {
            let budget = (budget_usd.is_some() || budget_tokens.is_some())
                .then(|| json!({"usd": budget_usd, "tokens": budget_tokens}));
            let order = json!({
                "name": name, "scope": scope, "expires_in_days": expires_in_days,
                "requests_per_minute": requests_per_minute, "budget": budget,
            });
            let key = client.post(&["keys"], &order).await?;
            if json {
                say(&serde_json::to_string_pretty(&key).unwrap_or_default());
                return Ok(());
            }
            say(key["secret"].as_str().unwrap_or_default());
            note(&format!(
                "That is the key '{}' ({}), scope {}. It is shown this once and stored nowhere.",
                cell(&key["name"]),
                cell(&key["id"]),
                cell(&key["scope"])
            ));
            Ok(())
        }
        Verb::Revoke { named } => {
            let answer = client.delete(&["keys", &named], &[]).await?;
            if json {
                say(&serde_json::to_string_pretty(&answer).unwrap_or_default());
            } else {
                say(&format!("key '{}' ({}) is revoked", cell(&answer["name"]), cell(&answer["id"])));
            }
            Ok(())
        }
    }
}

/// All pages: there are at most a thousand keys.
async fn list(client: &Client, json: bool) -> Result<(), Failure> {
    let (mut keys, mut cursor) = (Vec::new(), None);
    loop {
        let query = [("limit", Some("500".to_owned())), ("cursor", cursor)];
        let mut page = client.get(&["keys"], &query).await?;
        if let Some(more) = page["keys"].as_array_mut() {
            keys.append(more);
        }
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    if json {
        let text = json!({"total": keys.len(), "keys": keys});
        say(&serde_json::to_string_pretty(&text).unwrap_or_default());
        return Ok(());
    }
    let rows: Vec<_> = keys.iter().map(row).collect();
    say(&table(&["NAME", "ID", "SCOPE", "STATE", "ENDS", "LAST USED", "USED TODAY", "USED IN ALL"], &rows));
    Ok(())
}

fn row(key: &Value) -> Vec<String> {
    let spent = |of: &str| match key["spend"][of]["tokens"].as_u64() {
        None | Some(0) => "-".to_owned(),
        Some(tokens) => match key["spend"][of]["cost_usd"].as_f64() {
            Some(cost) => format!("{tokens} tokens, ${cost}"),
            None => format!("{tokens} tokens, cost unknown"),
        },
    };
    vec![
        cell(&key["name"]),
        cell(&key["id"]),
        cell(&key["scope"]),
        cell(&key["state"]),
        time(&key["expires_at"]),
        time(&key["last_used"]),
        spent("today"),
        spent("total"),
    ]
}

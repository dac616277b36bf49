//! `productforge agents`: the agents of a running server.

use std::{path::Path, process::ExitCode, sync::Arc};

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::{
    Failure,
    answers::{each, pretty},
    client::{Client, Server},
    files::read_text,
    given, note,
    process::runtime,
    say,
    table::{ago, cell, printable, short, table},
};
use crate::{clock::SystemClock, config::nearest, service::tools::EARLIER_RESULTS, tools::Registry};

const EXAMPLES: &str = "\
A file that an agent is made from has the fields of POST /agents/, as JSON or, where its name ends in
.toml, as TOML; what a flag says wins over the file. An agent that exists is replaced.

Examples:
  productforge agents list
  productforge agents show qa_bot
  productforge agents create api_designer --role Design --skill openapi --tool calculator
  productforge agents create --file agent.toml
  productforge agents show qa_bot --json | productforge agents create strict_qa --file - --model gpt-4o
  productforge agents delete api_designer";

/// List, show, create and delete the agents of a running server
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
    /// All agents
    List,
    /// One agent
    Show {
        #[arg(value_parser = given::name)]
        name: String,
    },
    /// Register an agent, or replace the one of this name
    Create(Box<New>),
    /// Delete agents; jobs that were given to them run to their end
    Delete {
        #[arg(required = true, value_parser = given::name)]
        names: Vec<String>,
    },
}

/// What an agent is made of.
#[derive(Debug, clap::Args)]
struct New {
    /// Its name
    #[arg(required_unless_present = "file", value_parser = given::name)]
    name: Option<String>,
    /// A JSON or TOML file with its fields; - reads JSON from standard input
    #[arg(long, value_name = "FILE")]
    file: Option<String>,
    /// What it does in a word: Assistant, Analyze, QA, Debug, Research, …
    #[arg(long)]
    role: Option<String>,
    /// What it is there for
    #[arg(long)]
    description: Option<String>,
    /// What it is good at; give several
    #[arg(long = "skill", value_name = "SKILL")]
    skills: Vec<String>,
    /// The model to ask [default: the configured one]
    #[arg(long)]
    model: Option<String>,
    /// A model to ask where the first one cannot answer; give up to five
    #[arg(long = "fallback-model", value_name = "MODEL")]
    fallback_models: Vec<String>,
    /// A system prompt of its own; @FILE reads it from a file
    #[arg(long)]
    prompt: Option<String>,
    /// A tool it may use: calculator, current_time, mcp:server, …; give up to 16
    #[arg(long = "tool", value_name = "TOOL")]
    tools: Vec<String>,
    /// How many of its jobs may run at once
    #[arg(long, value_name = "N")]
    max_concurrency: Option<u32>,
    /// US dollars that its jobs may use in a day
    #[arg(long, value_name = "USD", allow_negative_numbers = true, value_parser = given::dollars)]
    usd_per_day: Option<f64>,
    /// Tokens that its jobs may use in a day
    #[arg(long, value_name = "N")]
    tokens_per_day: Option<u64>,
}

pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    let client = args.server.client()?;
    runtime()?.block_on(work(&client, args.verb, args.server.json))
}

async fn work(client: &Client, verb: Verb, json: bool) -> Result<ExitCode, Failure> {
    match verb {
        Verb::List => {
            let agents = client.get(&["agents"], &[]).await?;
            say(&if json { pretty(&agents) } else { list(&agents) });
        }
        Verb::Show { name } => {
            let found = client.get(&["agents", &name], &[]).await;
            let agent = match found {
                Ok(agent) => agent,
                Err(error) => return Err(meant(client, &name, error).await),
            };
            say(&if json { pretty(&agent) } else { text_of(&agent) });
        }
        Verb::Create(new) => {
            let agent = client.post(&["agents"], &fields(*new)?).await?;
            note_unknown_tools(&agent);
            match json {
                true => say(&pretty(&agent)),
                false => say(&format!("{}  registered", printable(&cell(&agent["name"])))),
            }
        }
        Verb::Delete { names } => {
            let delete = async |name: &str| match client.delete(&["agents", name], &[]).await {
                Ok(answer) => Ok(answer),
                Err(error) => Err(meant(client, name, error).await),
            };
            return each(&names, json, "deleted", delete).await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The same failure; where there is no such agent, with the one that may be meant.
async fn meant(client: &Client, name: &str, error: Failure) -> Failure {
    let Failure::Failed(error) = error else { return error };
    if !error.to_string().ends_with("not found") {
        return Failure::Failed(error);
    }
    let agents = client.get(&["agents"], &[]).await.unwrap_or_default();
    let names: Vec<String> =
        agents.as_array().into_iter().flatten().map(|agent| cell(&agent["name"])).collect();
    Failure::Failed(match nearest(name, names.iter().map(String::as_str)) {
        Some(near) => anyhow::anyhow!(
            "{error}\nDid you mean '{}'? `productforge agents list` shows all.",
            printable(near)
        ),
        None => error,
    })
}

/// Says which of an agent's tools are none that every server has. They may be another version's, so it is registered.
fn note_unknown_tools(agent: &Value) {
    let mut known = Registry::new(Arc::new(SystemClock), Vec::new()).names();
    known.push(EARLIER_RESULTS.to_owned());
    for tool in agent["tools"].as_array().into_iter().flatten().map(cell) {
        if !tool.starts_with("mcp:") && !known.contains(&tool) {
            note(&format!(
                "'{}' is no built-in tool ({}) and no mcp:…: jobs of this agent go without it",
                printable(&tool),
                known.join(", ")
            ));
        }
    }
}

fn list(agents: &Value) -> String {
    let row = |agent: &Value| {
        vec![
            cell(&agent["name"]),
            cell(&agent["role"]),
            cell(&agent["model"]),
            cell(&agent["task_count"]),
            ago(&agent["last_assigned"]),
            short(&agent["description"]),
        ]
    };
    let rows: Vec<_> = agents.as_array().map_or(&[][..], Vec::as_slice).iter().map(row).collect();
    table(&["AGENT", "ROLE", "MODEL", "JOBS", "LAST JOB", "DESCRIPTION"], &rows)
}

fn text_of(agent: &Value) -> String {
    let list = |field: &Value| {
        let items: Vec<String> = field.as_array().map_or(&[][..], Vec::as_slice).iter().map(cell).collect();
        if items.is_empty() { "-".to_owned() } else { items.join(", ") }
    };
    let lines = [
        ("agent", cell(&agent["name"])),
        ("role", cell(&agent["role"])),
        ("about", cell(&agent["description"])),
        ("model", cell(&agent["model"])),
        ("fallbacks", list(&agent["fallback_models"])),
        ("skills", list(&agent["skills"])),
        ("tools", list(&agent["tools"])),
        ("at once", cell(&agent["max_concurrency"])),
        ("usd/day", cell(&agent["budget"]["usd_per_day"])),
        ("tokens/day", cell(&agent["budget"]["tokens_per_day"])),
        ("jobs", cell(&agent["task_count"])),
        ("last job", ago(&agent["last_assigned"])),
        ("created", ago(&agent["created_at"])),
        ("prompt", short(&agent["prompt"])),
    ];
    let told = lines.iter().filter(|(_, value)| value != "-");
    told.map(|(name, value)| format!("{name:10} {}", printable(value))).collect::<Vec<_>>().join("\n")
}

/// The body of the request: the file, and over it what flags say.
fn fields(new: New) -> Result<Value, Failure> {
    let mut fields = match &new.file {
        Some(file) => read_fields(file)?,
        None => Map::new(),
    };
    // What an answer shows of an agent and a request does not take.
    for told in ["task_count", "created_at", "last_assigned"] {
        fields.remove(told);
    }
    let prompt = match new.prompt.as_deref().map(|text| (text, text.strip_prefix('@'))) {
        Some((_, Some(file))) => Some(read_text(file, "the prompt")?),
        prompt => prompt.map(|(text, _)| text.to_owned()),
    };
    let several = |list: Vec<String>| (!list.is_empty()).then(|| json!(list));
    let budget = json!({"usd_per_day": new.usd_per_day, "tokens_per_day": new.tokens_per_day});
    let said = [
        ("name", new.name.map(Value::from)),
        ("role", new.role.map(Value::from)),
        ("description", new.description.map(Value::from)),
        ("skills", several(new.skills)),
        ("model", new.model.map(Value::from)),
        ("fallback_models", several(new.fallback_models)),
        ("prompt", prompt.map(Value::from)),
        ("tools", several(new.tools)),
        ("max_concurrency", new.max_concurrency.map(Value::from)),
        ("budget", (new.usd_per_day.is_some() || new.tokens_per_day.is_some()).then_some(budget)),
    ];
    for (name, value) in said {
        if let Some(value) = value {
            fields.insert(name.to_owned(), value);
        }
    }
    if !fields.contains_key("role") {
        note("no --role is given: it is an Assistant");
        fields.insert("role".to_owned(), json!("Assistant"));
    }
    Ok(Value::Object(fields))
}

fn read_fields(file: &str) -> Result<Map<String, Value>, Failure> {
    let text = read_text(file, "the agent")?;
    let is_toml = Path::new(file).extension().is_some_and(|ext| ext.eq_ignore_ascii_case("toml"));
    let read = if is_toml {
        toml::from_str(&text).map_err(|e| e.to_string())
    } else {
        serde_json::from_str(&text).map_err(|e| e.to_string())
    };
    read.map_err(|why| Failure::Usage(format!("{file} holds no agent: {why}")))
}

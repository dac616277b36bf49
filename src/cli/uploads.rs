//! `productforge uploads`: send archives to a running server, and see what was found in them.

use std::{
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::Subcommand;
use futures_util::stream;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use tokio::io::AsyncReadExt;

use super::{
    Failure,
    answers::{each, pretty},
    client::{Client, Server},
    given, note,
    process::runtime,
    reading::for_reader,
    say,
    table::{ago, cell, printable, short, table},
};

/// Bytes that are read and sent at once.
const PIECE_BYTES: usize = 64 << 10;

const EXAMPLES: &str = "\
`send` prints the id of the upload, which `run --upload-id` and `report` take. It is sent as it is read,
so that its size costs no memory.

Examples:
  productforge uploads send shop.zip --project shop
  productforge uploads list
  productforge uploads show 1b60f9b1-6a43-4a3e-b9c6-3a3c4d0a8f10
  productforge uploads report 1b60f9b1-6a43-4a3e-b9c6-3a3c4d0a8f10 > review.md
  productforge uploads delete 1b60f9b1-6a43-4a3e-b9c6-3a3c4d0a8f10";

/// Send archives of code to a running server; list, show and delete them
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
    /// Send a .zip file; it is checked, kept and analysed
    Send {
        file: PathBuf,
        /// What it belongs to
        #[arg(long)]
        project: Option<String>,
    },
    /// The newest uploads
    List {
        /// How many, 1 to 500
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// One upload and how far its analysis is
    Show {
        #[arg(value_parser = given::id)]
        id: String,
    },
    /// What was found in it, as Markdown
    Report {
        #[arg(value_parser = given::id)]
        id: String,
    },
    /// Delete uploads with their files and analyses
    Delete {
        #[arg(required = true, value_parser = given::id)]
        ids: Vec<String>,
    },
}

pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    let client = args.server.client()?;
    runtime()?.block_on(work(&client, args.verb, args.server.json))
}

async fn work(client: &Client, verb: Verb, json: bool) -> Result<ExitCode, Failure> {
    match verb {
        Verb::Send { file, project } => {
            let receipt = send(client, &file, project).await?;
            say(&if json { pretty(&receipt) } else { printable(&cell(&receipt["upload_id"])) });
        }
        Verb::List { limit } => {
            let page = client.get(&["upload", "list"], &[("limit", Some(limit.to_string()))]).await?;
            if json {
                say(&pretty(&page));
            } else {
                list(&page);
            }
        }
        Verb::Show { id } => {
            let upload = client.get(&["upload", &id], &[]).await?;
            say(&if json { pretty(&upload) } else { text_of(&upload) });
        }
        Verb::Report { id } => {
            let text = client.text(&["upload", &id, "report"]).await?;
            say(&if json { pretty(&Value::String(text)) } else { for_reader(text.trim_end()).into_owned() });
        }
        Verb::Delete { ids } => {
            return each(&ids, json, "deleted", async |id| client.delete(&["upload", id], &[]).await).await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Sends a file as it is read, with a bar on a terminal; the server's receipt.
pub(super) async fn send(client: &Client, path: &Path, project: Option<String>) -> Result<Value, Failure> {
    let shown = path.display().to_string();
    let unreadable = || format!("{shown} cannot be read");
    let file = tokio::fs::File::open(path).await.with_context(unreadable)?;
    let metadata = file.metadata().await.with_context(unreadable)?;
    if !metadata.is_file() {
        return Err(Failure::Usage(format!("{shown} is no file")));
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if !name.to_lowercase().ends_with(".zip") {
        return Err(Failure::Usage(format!("{shown}: only .zip files are taken")));
    }
    let bar = bar(metadata.len(), &name);
    let sent = bar.clone();
    let pieces = stream::try_unfold(file, move |mut file| {
        let sent = sent.clone();
        async move {
            let mut piece = vec![0; PIECE_BYTES];
            let read = file.read(&mut piece).await?;
            piece.truncate(read);
            sent.inc(read as u64);
            Ok::<_, io::Error>((read > 0).then_some((piece, file)))
        }
    });
    let body = reqwest::Body::wrap_stream(pieces);
    let part = reqwest::multipart::Part::stream_with_length(body, metadata.len()).file_name(name);
    let mut form = reqwest::multipart::Form::new();
    if let Some(project) = project {
        form = form.text("project", project);
    }
    let answer = client.send_form(&["upload", ""], form.part("file", part)).await;
    bar.finish_and_clear();
    answer
}

fn bar(bytes: u64, name: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(bytes).with_message(printable(name));
    let template = "{msg} {bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

fn list(page: &Value) {
    let row = |upload: &Value| {
        vec![
            cell(&upload["upload_id"]),
            short(&upload["filename"]),
            cell(&upload["size"]),
            cell(&upload["files"]),
            short(&upload["project"]),
            ago(&upload["uploaded_at"]),
            ago(&upload["expires_at"]),
        ]
    };
    let rows: Vec<_> = page["uploads"].as_array().map_or(&[][..], Vec::as_slice).iter().map(row).collect();
    match rows.is_empty() {
        true => note("there are no uploads"),
        false => say(&table(&["UPLOAD", "FILE", "BYTES", "FILES", "PROJECT", "SENT", "EXPIRES"], &rows)),
    }
    if !page["next_cursor"].is_null() {
        note(&format!("the newest {}; there are more", rows.len()));
    }
}

fn text_of(upload: &Value) -> String {
    let totals = &upload["analysis"]["static"]["totals"];
    let findings = upload["analysis"]["findings"].as_array().map(|found| found.len().to_string());
    let lines = [
        ("upload", cell(&upload["upload_id"])),
        ("file", cell(&upload["filename"])),
        ("bytes", cell(&upload["size"])),
        ("project", cell(&upload["project"])),
        ("sent", ago(&upload["uploaded_at"])),
        ("expires", ago(&upload["expires_at"])),
        ("status", cell(&upload["status"])),
        ("job", cell(&upload["job_id"])),
        ("files", cell(&totals["files"])),
        ("lines", cell(&totals["lines"])),
        ("findings", findings.unwrap_or_else(|| "-".to_owned())),
    ];
    let told = lines.iter().filter(|(_, value)| value != "-");
    told.map(|(name, value)| format!("{name:10} {}", printable(value))).collect::<Vec<_>>().join("\n")
}

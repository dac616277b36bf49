//! `productforge backup`: all that the embedded store keeps, as one file, while the server works on.
//!
//! The store's file belongs to one process. Where a server has it, the server makes the backup and sends it; where
//! none has, this process takes the file and makes it itself.

use std::{
    fs::File,
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;

use crate::{
    app::{self, App},
    config::Config,
    service::backups::{self, Manifest, NOT_EMBEDDED},
    store::sqlite::Exclusive,
    telemetry,
};

use super::{
    Failure, FromFile,
    client::{Client, Server},
    load, note,
    process::runtime,
    say,
    table::table,
};

const EXAMPLES: &str = "\
A running server makes it and goes on working: --server or PRODUCTFORGE_SERVER says which, API_KEY is sent
as its key. Where neither is said and no server has the store in WORKSPACE_DIR open, this command reads the
store itself. The file has the database, the files of uploads and a manifest with the digest of every part.
It is read once more when it is there; only then it gets its name. It holds everything in plain: keep it
where only you can read it.

A state in Redis is backed up by Redis: see the help page Operations.

Exit codes: 0 all is in it, 1 there is no backup, or it lacks files of uploads that were not where they should
be (it says so, and so does the manifest; with --out - a server's log does), 2 the command line or the
configuration is wrong.

Examples:
  productforge backup
  productforge backup --out /mnt/backups/monday.zip
  productforge backup --out - | ssh backups 'cat > monday.zip'
  productforge restore --check monday.zip";

/// Write all that the embedded store keeps into one file, while the server runs
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The file to write, or - for standard output [default: productforge-backup-<time>.zip in this folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace a file that is there already
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    from: FromFile,
}

/// Where the bytes go.
enum Out {
    /// Standard output; nobody can look at them again.
    Pipe(io::Stdout),
    /// A file without its name yet, beside the place where it will have it.
    File(tempfile::NamedTempFile),
}

pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    let piped = args.out.as_deref() == Some(Path::new("-"));
    if piped && io::stdout().is_terminal() {
        return Err(Failure::Usage("a backup is no text for a terminal: say --out FILE".to_owned()));
    }
    if let Some(taken) = args.out.as_ref().filter(|out| !piped && !args.force && out.exists()) {
        return Err(Failure::Failed(is_there(taken)));
    }
    let config = load(args.from, [])?;
    if !args.server.is_known() && config.store.redis_url.is_some() {
        return Err(Failure::Failed(anyhow::anyhow!(NOT_EMBEDDED)));
    }
    let database = app::database(&config);
    let nowhere = !args.server.is_known() && !database.exists();
    let here = !args.server.is_known() && is_free(&database);
    let client = if here { None } else { Some(args.server.client()?) };
    if here {
        telemetry::init_quiet(&config.log, &telemetry::log_folder(&config))?;
    }
    let address = client.as_ref().map(Client::address).unwrap_or_default();
    let target = args.out.filter(|_| !piped);
    let made = runtime()?.block_on(make(config, client, target, piped, args.force));
    let (target, manifest) = made.map_err(|failure| match failure {
        Failure::Unreachable(_) if nowhere => Failure::Unreachable(neither(&database, &address)),
        other => other,
    })?;
    match (&manifest, target) {
        (Some(manifest), Some(target)) if args.server.json => {
            let told = serde_json::json!({"file": target, "manifest": manifest});
            say(&serde_json::to_string_pretty(&told).context("the manifest cannot be written as JSON")?);
        }
        (Some(manifest), Some(target)) => {
            say(&told(manifest));
            note(&format!("The backup is in {}", target.display()));
        }
        _ => {}
    }
    match manifest.map(|manifest| manifest.missing.len()) {
        Some(missing) if missing > 0 => {
            note(&format!(
                "The files of {missing} uploads were not there: everything else is in the backup. See that the disk with \
                 the folder of uploads is mounted, then make another one"
            ));
            Ok(ExitCode::FAILURE)
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Whether there is a store that no process has open.
fn is_free(database: &Path) -> bool {
    database.exists() && Exclusive::take(database).is_ok()
}

/// There is no store here and no server at the address where one is looked for: another folder, most likely.
fn neither(database: &Path, address: &str) -> anyhow::Error {
    anyhow::anyhow!(
        "there is no {} here (WORKSPACE_DIR), and no server answers at {address}: set WORKSPACE_DIR to the folder of \
         the store, or name the server with --server",
        database.display()
    )
}

async fn make(
    config: Config,
    client: Option<Client>,
    target: Option<PathBuf>,
    piped: bool,
    force: bool,
) -> Result<(Option<PathBuf>, Option<Manifest>), Failure> {
    match client {
        Some(client) => {
            let mut answer = client.download(&["system", "backup"]).await?;
            let target = target.unwrap_or_else(|| PathBuf::from(name_of(&answer)));
            let mut out = Out::open(&target, piped, force)?;
            loop {
                let chunk = answer.chunk().await;
                let broken = "the server broke the backup off; its log says why. Nothing was kept";
                match chunk.context(broken)? {
                    Some(chunk) => out.write_all(&chunk).context("the backup cannot be written")?,
                    None => break,
                }
            }
            Ok(out.done(target, force).await?)
        }
        None => {
            let app = App::open(config).await?;
            let made = make_here(&app, target, piped, force).await;
            app.close().await;
            Ok(made?)
        }
    }
}

/// By this process, which has the store.
async fn make_here(
    app: &App,
    target: Option<PathBuf>,
    piped: bool,
    force: bool,
) -> anyhow::Result<(Option<PathBuf>, Option<Manifest>)> {
    let snapshot = app.services.backups.snapshot().await?;
    let target = target.unwrap_or_else(|| PathBuf::from(snapshot.file_name()));
    let mut out = Out::open(&target, piped, force)?;
    let runtime = tokio::runtime::Handle::current();
    let written = tokio::task::spawn_blocking(move || {
        let written = snapshot.write(&runtime, &mut out);
        written.map(|manifest| (out, manifest))
    });
    let (out, manifest) = written.await?.context("the backup cannot be written")?;
    let (target, _) = out.done(target, force).await?;
    Ok((target, Some(manifest)))
}

fn is_there(target: &Path) -> anyhow::Error {
    anyhow::anyhow!("{} is there already; --force replaces it", target.display())
}

impl Out {
    fn open(target: &Path, piped: bool, force: bool) -> anyhow::Result<Self> {
        if piped {
            return Ok(Self::Pipe(io::stdout()));
        }
        if target.exists() && !force {
            return Err(is_there(target));
        }
        let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let file = tempfile::Builder::new().prefix(".productforge-backup-").tempfile_in(folder);
        file.map(Self::File).with_context(|| format!("{} cannot be written", target.display()))
    }

    /// All is written: looks at it once more, and gives it its name.
    async fn done(self, target: PathBuf, force: bool) -> anyhow::Result<(Option<PathBuf>, Option<Manifest>)> {
        let file = match self {
            Self::Pipe(mut out) => {
                out.flush().context("the backup cannot be written")?;
                return Ok((None, None));
            }
            Self::File(file) => file,
        };
        let written = || format!("{} cannot be written", target.display());
        file.as_file().sync_all().with_context(written)?;
        let path = file.path().to_owned();
        let manifest = tokio::task::spawn_blocking(move || backups::check(&path)).await?;
        let manifest = manifest.context("what was written is no whole backup")?;
        match force {
            true => file.persist(&target).map(drop).map_err(|e| e.error),
            false => file.persist_noclobber(&target).map(drop).map_err(|e| e.error),
        }
        .with_context(written)?;
        let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))
            .and_then(|folder| folder.sync_all())
            .with_context(written)?;
        Ok((Some(target), Some(manifest)))
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Pipe(out) => out.write(bytes),
            Self::File(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Pipe(out) => out.flush(),
            Self::File(file) => file.flush(),
        }
    }
}

/// The name that the server gives the file, if it can be one in this folder.
fn name_of(answer: &reqwest::Response) -> String {
    let header = answer.headers().get("content-disposition").and_then(|value| value.to_str().ok());
    let name = header.and_then(|header| header.split_once("filename=\"")?.1.split('"').next());
    let plain = |name: &&str| {
        !name.starts_with('.') && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))
    };
    name.filter(plain).unwrap_or("productforge-backup.zip").to_owned()
}

/// What is in a backup.
pub(super) fn told(manifest: &Manifest) -> String {
    let mut rows = vec![
        vec!["made at".to_owned(), crate::model::iso::format(&manifest.made_at)],
        vec!["made by".to_owned(), format!("version {}, schema {}", manifest.version, manifest.schema)],
        vec!["unpacked".to_owned(), format!("{} bytes in {} files", manifest.bytes(), manifest.parts.len())],
    ];
    rows.extend(manifest.counts.iter().map(|(name, count)| vec![name.replace('_', " "), count.to_string()]));
    if !manifest.uploads_included {
        let where_they_are = "stay in their bucket: not in the backup";
        rows.push(vec!["files of uploads".to_owned(), where_they_are.to_owned()]);
    }
    if !manifest.left_out.is_empty() {
        let number = manifest.left_out.len();
        rows.push(vec!["left out".to_owned(), format!("{number} uploads that were removed meanwhile")]);
    }
    if !manifest.missing.is_empty() {
        let number = manifest.missing.len();
        rows.push(vec!["missing".to_owned(), format!("the files of {number} uploads, which were not there")]);
    }
    table(&["WHAT", "IN THE BACKUP"], &rows)
}

//! `init`: writes a first configuration. Reads where the hosts are, asks for what is missing, shows and pins host keys,
//! tries logins, and proposes limits. The text itself is made in `setup`.

use std::{
    collections::{HashMap, hash_map::Entry},
    io::{self, Write as _},
    os::unix::process::CommandExt as _,
    path::Path,
    process::Command,
};

use tokio_util::sync::CancellationToken;

use super::output_file::{Audience, Output, OutputError};
use crate::{
    app::{
        audit,
        error::{RunError, chain},
        process::{hidden_input::InputError, question, signals},
    },
    cli::{Exit, init::Init},
    config::{self, Config, LoadError, Schema, diagnostic::Problems},
    fleet::{ClientId, select::Pattern, shell_word::shell_word, units::counted},
    setup::{plan::Plan, proposal, written},
};
use contact::Contact;
use decisions::{Asking, Login};
use error::InitError;
use secret_file::SecretFile;
use sources::{Found, gather};

mod contact;
mod decisions;
pub mod error;
mod secret_file;
mod sources;

/// What is counted, for one and for several.
const HOSTS: (&str, &str) = ("host", "hosts");

/// Writes a configuration, and opens the dashboard if the operator wants it.
///
/// # Errors
/// [`RunError`] if nothing was written.
pub async fn run(init: &Init, patterns: &[Pattern], stop: &CancellationToken) -> Result<Exit, RunError> {
    let target = init.output.clone().unwrap_or_else(|| config::DEFAULT_FILE.into());
    refuse_existing(&target)?;
    // What would fail at the end fails before anybody types or contacts anything.
    let output = Output::create(&target, Audience::Owner)?;
    let home = std::env::home_dir().filter(|home| !home.as_os_str().is_empty());
    let may_ask = !init.yes && question::is_possible();
    stop_on_hangup(stop)?;
    let mut remarks = Vec::new();
    let found = gather(init, patterns, home.as_deref(), may_ask, &mut remarks, stop).await;
    for remark in remarks {
        writeln!(io::stderr(), "{remark}")?;
    }
    let Found { fleet, openssh_file, key } = found?;
    if let Some(key) = &key {
        writeln!(io::stderr(), "taken over from the inventory: the private key {}", key.escape_debug())?;
    }
    let asking = Asking { init, home: home.as_deref(), may_ask, stop };
    let Login { plan: login, files } = asking.login(&fleet, key).await?;
    let mut plan = Plan {
        login,
        mail: asking.mail().await?,
        database: asking.database()?,
        known_hosts: asking.known_hosts()?,
        openssh_file,
        limits: proposal::limits(&[]),
        fleet,
    };
    let config = loaded(&written::text(&plan), &target)?;
    for remark in same_endpoints(&config) {
        writeln!(io::stderr(), "{remark}")?;
    }
    heading("Host keys", config.clients.len())?;
    let mut contact = Contact::new(&config)?;
    contact.host_keys(init.accept_host_keys, may_ask, stop).await?;
    if !contact.tried().is_empty() {
        heading("Logins", contact.tried().len())?;
        contact.collect(stop).await?;
    }
    if contact.measured.is_empty() && may_ask {
        let asked = "No host could be collected. Write the configuration all the same?";
        let keys_stay = contact.has_pinned;
        match question::confirm(asked, false, stop).await {
            Ok(true) => {}
            Ok(false) => return Err(InitError::Declined { keys_stay }.into()),
            Err(InputError::Stopped) => return Err(contact.interrupted().into()),
            Err(error) => return Err(InitError::from(error).into()),
        }
    }
    plan.limits = proposal::limits(&contact.measured);
    let failed = contact.failed;
    let notes = contact.close().await;
    let text = written::text(&plan);
    loaded(&text, &target)?;
    write(&text, output, &target)?;
    files.into_iter().for_each(SecretFile::keep);
    write_schema(&target);
    // What was pinned belongs in the audit. The configuration is there, so a failure does not change the exit code.
    if let Err(error) = audit::store(&config, &notes).await {
        tracing::warn!("not in the audit: {}", chain(&error));
    }
    end(init, &target, &config, failed, may_ask, stop).await
}

/// Ends the questions when the terminal is gone, so that no unfinished file remains.
fn stop_on_hangup(stop: &CancellationToken) -> io::Result<()> {
    let mut hangups = signals::hangups()?;
    let stop = stop.clone();
    tokio::spawn(async move {
        if hangups.recv().await.is_some() {
            stop.cancel();
        }
    });
    Ok(())
}

/// Clients that are the same machine, because files of OpenSSH lead to it under several names.
fn same_endpoints(config: &Config) -> Vec<String> {
    let mut seen: HashMap<(ClientId, String), &str> = HashMap::new();
    let mut remarks = Vec::new();
    for client in config.clients.iter().filter(|client| client.openssh.is_some()) {
        let way = client.via.iter().map(|bastion| bastion.id.to_string()).collect::<Vec<_>>().join(" ");
        let way = format!("{way} {}", client.proxy_command().unwrap_or_default());
        let endpoint = client.endpoint();
        match seen.entry((endpoint.clone(), way)) {
            Entry::Vacant(place) => {
                place.insert(&client.name);
            }
            Entry::Occupied(first) => {
                let (one, other) = (first.get(), &client.name);
                remarks.push(format!("{one} and {other} are the same machine, {endpoint}: remove one of them"));
            }
        }
    }
    remarks
}

fn refuse_existing(target: &Path) -> Result<(), InitError> {
    match target.symlink_metadata() {
        Ok(_) => Err(InitError::Exists(target.to_owned())),
        Err(_) => Ok(()),
    }
}

fn heading(what: &str, hosts: usize) -> io::Result<()> {
    writeln!(io::stdout(), "\n{what} of {}:", counted(hosts as u64, HOSTS))
}

/// The configuration of a text, as it will be read from its file.
fn loaded(text: &str, target: &Path) -> Result<Config, RunError> {
    let file = tempfile::Builder::new().prefix("fleetsweep-").suffix(".xml").tempfile()?;
    file.as_file().write_all(text.as_bytes())?;
    match Config::load(file.path()) {
        Ok(loaded) => Ok(loaded.config),
        Err(LoadError::Invalid(Problems(mut problems))) => {
            for problem in &mut problems {
                problem.file = target.display().to_string().into();
            }
            Err(LoadError::Invalid(Problems(problems)).into())
        }
        Err(error) => Err(error.into()),
    }
}

/// Writes the file. It is there whole or not at all.
fn write(text: &str, mut output: Output, target: &Path) -> Result<(), RunError> {
    output.write(text.as_bytes())?;
    output.finish_new().map_err(|error| match error {
        OutputError::Exists { .. } => InitError::Exists(target.to_owned()).into(),
        other @ (OutputError::NotBegun { .. } | OutputError::NotFinished { .. } | OutputError::Stopped { .. }) => {
            RunError::from(other)
        }
    })
}

/// Writes the schema for editors beside the file that names it, if there is none. Nothing depends on it.
fn write_schema(target: &Path) {
    let path = target.with_file_name(written::SCHEMA_FILE);
    if path.symlink_metadata().is_ok() {
        return;
    }
    let written = || {
        let mut output = Output::create(&path, Audience::Everyone)?;
        output.write(Schema::TEXT.as_bytes())?;
        output.finish_new()
    };
    if let Err(error) = written() {
        tracing::warn!("editors will not find the schema: {}", chain(&error));
    }
}

/// Says what was written and what comes next, or opens the dashboard.
async fn end(
    init: &Init,
    target: &Path,
    config: &Config,
    failed: usize,
    may_ask: bool,
    stop: &CancellationToken,
) -> Result<Exit, RunError> {
    let shown = target.display();
    let clients = counted(config.clients.len() as u64, ("client", "clients"));
    let failures = if failed == 0 { String::new() } else { format!("; {} failed", counted(failed as u64, HOSTS)) };
    writeln!(io::stdout(), "\n{shown} is written: {clients}{failures}.")?;
    match Config::check(target) {
        Ok(loaded) => loaded.warnings.iter().for_each(|warning| tracing::warn!("{warning}")),
        Err(error) => tracing::warn!("{}", chain(&error)),
    }
    if may_ask && !init.no_dashboard && failed < config.clients.len() {
        // The configuration is written, so an interruption only means no.
        let is_wanted = match question::confirm("Open the dashboard now?", true, stop).await {
            Err(InputError::Stopped) => {
                writeln!(io::stderr())?;
                false
            }
            answer => answer.map_err(InitError::from)?,
        };
        if is_wanted {
            let program = std::env::current_exe().map_err(InitError::Dashboard)?;
            return Err(InitError::Dashboard(Command::new(program).arg("--config").arg(target).exec()).into());
        }
    }
    let option = if target == Path::new(config::DEFAULT_FILE) {
        String::new()
    } else {
        format!(" --config {}", shell_word(&shown.to_string()))
    };
    let is_behind = config.clients.iter().any(|client| !client.via.is_empty());
    let is_mailed = config.clients.iter().any(|client| !client.mail.is_empty());
    let commands = [
        (is_behind, "trust", "pins the host keys behind other servers"),
        (true, "check", "what it means; contacts nothing"),
        (true, "--once", "one sweep of all clients, as a table"),
        (is_mailed, "mail-test", "one mail to each address"),
        (true, "", "the dashboard"),
    ];
    writeln!(io::stdout(), "Next:")?;
    for (_, command, meaning) in commands.into_iter().filter(|(is_useful, ..)| *is_useful) {
        let line = format!("fleetsweep{option} {command}");
        writeln!(io::stdout(), "  {:width$}  {meaning}", line.trim_end(), width = 22 + option.len())?;
    }
    Ok(if failed == 0 { Exit::Success } else { Exit::ClientFailed })
}

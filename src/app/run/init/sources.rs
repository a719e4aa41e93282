//! Where the hosts come from: arguments and files, or what the operator types. What a file means is decided in `setup`.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use tokio_util::sync::CancellationToken;

use super::error::InitError;
use crate::{
    app::process::{hidden_input::InputError, question},
    cli::init::Init,
    config::{OpensshFiles, openssh_hosts},
    fleet::select::Pattern,
    setup::{ansible, argument, csv_file, fleet::Fleet, host::Group, input::MOST_BYTES, openssh},
};

/// The hosts, and what there is to say about them.
pub(super) struct Found {
    pub(super) fleet: Fleet,
    /// `config` of `<ssh>`, if hosts come from another file than the usual ones.
    pub(super) openssh_file: Option<String>,
    pub(super) remarks: Vec<String>,
}

/// Reads all sources that the operator has named. If there are none and somebody can be asked, asks.
///
/// # Errors
/// [`InitError`]
pub(super) async fn gather(
    init: &Init,
    patterns: &[Pattern],
    home: Option<&Path>,
    may_ask: bool,
    stop: &CancellationToken,
) -> Result<Found, InitError> {
    let mut remarks = Vec::new();
    let mut groups = Vec::new();
    let mut openssh_file = None;
    let mut arguments = init.hosts.clone();
    let is_nothing_named =
        arguments.is_empty() && init.ssh_config.is_none() && init.csv.is_none() && init.inventory.is_none();
    let mut ssh_config = init.ssh_config.clone();
    if is_nothing_named {
        if !may_ask {
            return Err(InitError::NoHosts);
        }
        let usual = home.map(|home| home.join(".ssh/config")).filter(|path| path.is_file());
        let or = usual.as_ref().map_or(String::new(), |path| format!(" (Enter: those of {})", path.display()));
        let typed = question::ask(&format!("Hosts, as in ops@10.0.4.[1-40] web.example.com{or}"), "", stop).await?;
        arguments = typed.split_whitespace().map(str::to_owned).collect();
        if arguments.is_empty() {
            ssh_config = Some(usual.ok_or(InitError::NoHosts)?);
        }
    }
    let hosts = arguments.iter().map(|text| argument::host(text)).collect::<Result<Vec<_>, _>>()?;
    groups.push(Group { title: None, hosts });
    if let Some(path) = &ssh_config {
        let is_usual = home.is_some_and(|home| *path == home.join(".ssh/config"));
        // Otherwise a missing file would be an empty one.
        File::open(path).map_err(|source| InitError::Unreadable { path: path.clone(), source })?;
        let path = if is_usual { path.clone() } else { path.canonicalize().unwrap_or_else(|_| path.clone()) };
        let which = if is_usual { OpensshFiles::Usual } else { OpensshFiles::File(path.clone()) };
        let (named, wrong) = openssh_hosts(&which, home, openssh::MOST_HOSTS);
        remarks.extend(wrong.iter().map(ToString::to_string));
        let (group, refused) = openssh::read(&named, &path.display().to_string())?;
        remarks.extend(refused.iter().map(|error| format!("left out: {error}")));
        groups.push(group);
        openssh_file = (!is_usual).then(|| path.display().to_string());
    }
    if let Some(path) = &init.csv {
        groups.push(csv_file::read(&read(path, stop).await?, &path.display().to_string())?);
    }
    if let Some(path) = &init.inventory {
        let inventory = ansible::read(&read(path, stop).await?, &path.display().to_string())?;
        if inventory.other_connections > 0 {
            let count = inventory.other_connections;
            remarks
                .push(format!("left out, because Ansible does not reach them over SSH (ansible_connection): {count}"));
        }
        groups.extend(inventory.groups);
    }
    let fleet = Fleet::gather(groups, patterns)?;
    if fleet.repeated > 0 {
        remarks.push(format!("left out, because they were named before: {}", fleet.repeated));
    }
    let renamed = fleet.renamed.iter().take(5).map(|name| name.escape_debug().to_string()).collect::<Vec<_>>();
    if !renamed.is_empty() {
        remarks.push(format!("called by their address, because another host has the name: {}", renamed.join(", ")));
    }
    Ok(Found { fleet, openssh_file, remarks })
}

/// The bytes of a file, one more than is allowed at most.
async fn read(path: &Path, stop: &CancellationToken) -> Result<Vec<u8>, InitError> {
    let from: PathBuf = path.to_owned();
    // A pipe may never end.
    let reading = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        File::open(from)?.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    });
    let unreadable = |source| InitError::Unreadable { path: path.to_owned(), source };
    tokio::select! {
        () = stop.cancelled() => Err(InputError::Stopped.into()),
        read = reading => read.map_err(|error| unreadable(error.into()))?.map_err(unreadable),
    }
}

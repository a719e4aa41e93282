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
    config::{KeyFile, OpensshFiles, entry, has_openssh_user, openssh_hosts},
    fleet::{select::Pattern, units::counted},
    setup::{
        ansible::{self, Inventory},
        argument, csv_file,
        fleet::Fleet,
        host::{Group, Host},
        input::{EXPORT, MOST_BYTES},
        openssh,
    },
    sweep::check_key,
};

/// The hosts, and what there is to say about them.
pub(super) struct Found {
    pub(super) fleet: Fleet,
    /// `config` of `<ssh>`, if hosts come from another file than the usual ones.
    pub(super) openssh_file: Option<String>,
    /// The private key that an inventory names for all hosts.
    pub(super) key: Option<String>,
}

/// The most hosts that a remark names.
const MOST_NAMED: usize = 5;

/// Reads all sources that the operator has named. If there are none and somebody can be asked, asks. What there is to say
/// goes to `remarks`, also if this fails.
///
/// # Errors
/// [`InitError`]
pub(super) async fn gather(
    init: &Init,
    patterns: &[Pattern],
    home: Option<&Path>,
    may_ask: bool,
    remarks: &mut Vec<String>,
    stop: &CancellationToken,
) -> Result<Found, InitError> {
    let mut groups = Vec::new();
    let mut openssh_file = None;
    let mut hosts = parsed(init.hosts.iter().map(String::as_str))?;
    let is_nothing_named =
        hosts.is_empty() && init.ssh_config.is_none() && init.csv.is_none() && init.inventory.is_none();
    let mut ssh_config = init.ssh_config.clone();
    if is_nothing_named {
        if !may_ask {
            return Err(InitError::NoHosts);
        }
        let usual = home.map(|home| home.join(".ssh/config")).filter(|path| path.is_file());
        let or = usual.as_ref().map_or(String::new(), |path| format!(" (Enter: those of {})", path.display()));
        let asked = format!("Hosts, as in ops@10.0.4.[1-40] web.example.com{or}");
        let typed = |text: &str| match parsed(text.split_whitespace()) {
            Ok(hosts) if hosts.is_empty() && usual.is_none() => Err(InitError::NoHosts),
            result => result,
        };
        hosts = question::ask_until(&asked, "", typed, stop).await?;
        if hosts.is_empty() {
            ssh_config = usual;
        }
    }
    groups.push(Group { title: None, hosts });
    if let Some(path) = &ssh_config {
        let is_usual = home.is_some_and(|home| *path == home.join(".ssh/config"));
        // Otherwise a missing file would be an empty one.
        File::open(path).map_err(|source| InitError::Unreadable { path: path.clone(), source })?;
        let path = if is_usual { path.clone() } else { path.canonicalize().unwrap_or_else(|_| path.clone()) };
        let which = if is_usual { OpensshFiles::Usual } else { OpensshFiles::File(path.clone()) };
        let (named, wrong) = openssh_hosts(&which, home, openssh::MOST_HOSTS);
        remarks.extend(wrong.iter().map(ToString::to_string));
        let (group, refused) = openssh::read(&named, &path.display().to_string(), wrong.is_empty())?;
        remarks.extend(refused.iter().map(|error| format!("left out: {error}")));
        groups.push(group);
        openssh_file = (!is_usual).then(|| path.display().to_string());
    }
    if let Some(path) = &init.csv {
        groups.push(csv_file::read(&read(path, stop).await?, &path.display().to_string())?);
    }
    let mut key = None;
    if let Some(path) = &init.inventory {
        if path.is_dir() {
            return Err(InitError::Directory(path.clone()));
        }
        let inventory = ansible::read(&read(path, stop).await?, &path.display().to_string())?;
        // Of hosts from elsewhere, the inventory says nothing.
        let is_only_source = groups.iter().all(|group| group.hosts.is_empty());
        let is_wanted = is_only_source && init.key.is_none() && init.password.is_none();
        key = usable_key(&inventory, home).await.filter(|_| is_wanted);
        inventory_remarks(&inventory, path, key.as_deref(), remarks);
        groups.extend(inventory.groups);
    }
    let mut fleet = Fleet::gather(groups, patterns)?;
    // An account that the operator names for all hosts wins, as that of `ssh -l`.
    if init.user.is_none() {
        let which = openssh_file.as_ref().map_or(OpensshFiles::Usual, |path| OpensshFiles::File(path.into()));
        fleet.mark_openssh_users(has_openssh_user(&which, home));
    }
    if !fleet.repeated.is_empty() {
        let repeated = fleet.repeated.iter().map(ToString::to_string);
        remarks.push(format!("left out, because they were named before: {}", listed(repeated)));
    }
    if !fleet.renamed.is_empty() {
        let renamed = fleet.renamed.iter().map(|name| name.escape_debug().to_string());
        remarks.push(format!("called by their address, because another host has the name: {}", listed(renamed)));
    }
    Ok(Found { fleet, openssh_file, key })
}

fn parsed<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Vec<Host>, InitError> {
    Ok(texts.map(argument::host).collect::<Result<Vec<_>, _>>()?)
}

/// Some names, and how many more there are.
pub(super) fn listed(names: impl ExactSizeIterator<Item = String>) -> String {
    let more = names.len().saturating_sub(MOST_NAMED);
    let shown = names.take(MOST_NAMED).collect::<Vec<_>>().join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

/// The key of all hosts of an inventory, if it is there and can be used without a passphrase.
async fn usable_key(inventory: &Inventory, home: Option<&Path>) -> Option<String> {
    let text = inventory.key.as_deref()?;
    let path = entry::path(text, home).ok()?;
    check_key(&KeyFile { path, passphrase: None }).await.is_ok().then(|| text.to_owned())
}

/// What is not taken over from an inventory.
fn inventory_remarks(inventory: &Inventory, path: &Path, key: Option<&str>, remarks: &mut Vec<String>) {
    if inventory.other_connections > 0 {
        let count = inventory.other_connections;
        remarks.push(format!("left out, because Ansible does not reach them over SSH (ansible_connection): {count}"));
    }
    let is_taken = |name: &str| key.is_some() && name.ends_with("private_key_file");
    let not_taken: Vec<String> = inventory
        .not_taken
        .iter()
        .filter(|(name, _)| !is_taken(name))
        .map(|(name, hosts)| format!("{name} ({})", counted(*hosts as u64, ("host", "hosts"))))
        .collect();
    if !not_taken.is_empty() {
        let not_taken = not_taken.join(", ");
        remarks.push(format!("not taken over from the inventory: {not_taken}: use --key, --password or ~/.ssh/config"));
    }
    let beside = ["group_vars", "host_vars"].into_iter().filter(|name| path.with_file_name(name).is_dir());
    let beside: Vec<String> = beside.map(|name| format!("{name}/")).collect();
    if !beside.is_empty() {
        remarks.push(format!("not read: {} beside the inventory; {EXPORT} includes it", beside.join(" and ")));
    }
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

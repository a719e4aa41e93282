//! The way to a client, as `check CLIENT` prints it: address, account, hops, keys, host key, each with where it is set. And
//! what of OpenSSH's configuration has no effect. Not the connection itself.

use std::{
    collections::BTreeSet,
    fmt::{self, Write as _},
    path::Path,
};

use super::parts::{LISTED, login};
use crate::{
    config::{Client, Loaded, bastions, safe_text},
    fleet::units::counted,
    ssh_config::{HostSettings, IdentityAgent, Origin, Proxy, Remark, Traced},
};

/// The ways to all clients of a configuration, one paragraph for each.
#[must_use]
pub fn ways(loaded: &Loaded) -> String {
    let file = loaded.config.file.as_path();
    let paragraphs: Vec<String> = loaded.config.clients.iter().map(|client| way(client, file)).collect();
    let mut text = paragraphs.join("\n");
    // Writing to a `String` does not fail.
    let _infallible = write_list(&mut text, &loaded.openssh_remarks);
    text
}

/// What `check` says about the files of OpenSSH for the whole fleet.
pub(super) fn write_remarks(out: &mut String, loaded: &Loaded) -> fmt::Result {
    let of_clients = loaded.config.clients.iter().filter_map(|client| client.openssh.as_ref());
    let of_clients = of_clients.flat_map(|settings| &settings.remarks);
    let all: BTreeSet<&Remark> = loaded.openssh_remarks.iter().chain(of_clients).collect();
    write_list(out, all)
}

fn write_list<'a>(out: &mut String, remarks: impl IntoIterator<Item = &'a Remark>) -> fmt::Result {
    let lines: Vec<String> = remarks.into_iter().map(remark).collect();
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nOf the configuration of OpenSSH")?;
    for line in lines.iter().take(LISTED) {
        writeln!(out, "  {line}")?;
    }
    if lines.len() > LISTED {
        writeln!(out, "  and {} more", counted((lines.len() - LISTED) as u64, ("remark", "remarks")))?;
    }
    Ok(())
}

fn remark(Remark { line, about }: &Remark) -> String {
    format!("{}:{}: {about}", safe_text::path(&line.file), line.number)
}

fn way(client: &Client, file: &Path) -> String {
    let nothing = HostSettings::default();
    let settings = client.openssh.as_deref().unwrap_or(&nothing);
    let from = |origin: Option<&Origin>| match origin {
        Some(Origin::Line(line)) => format!("{}:{}", safe_text::path(&line.file), line.number),
        // As the user named it: no secret is in the place of this path.
        Some(Origin::Given) | None => file.display().to_string(),
    };
    let of = |traced: Option<&Origin>, value: String| format!("{value}  ({})", from(traced));
    let mut rows: Vec<(&str, String)> = Vec::new();
    let endpoint = client.endpoint();
    let host = safe_text::addresses(endpoint.address()).to_string();
    rows.push(("address", of(settings.host_name_from.as_ref().map(|from| &from.origin), host)));
    rows.push(("port", of(settings.port.as_ref().map(|port| &port.origin), endpoint.port().to_string())));
    let account = safe_text::account(&client.username).to_string();
    rows.push(("account", of(settings.user.as_ref().map(|user| &user.origin), account)));
    let proxy = settings.proxy.as_ref();
    for bastion in client.via.iter() {
        rows.push(("via", of(proxy.map(|proxy| &proxy.origin), bastions::shown(bastion))));
        rows.push(("", format!("  with {}", login(&bastion.login))));
    }
    if let Some(Traced { value: Proxy::Command(_), origin }) = proxy {
        // The command may contain a secret.
        rows.push(("via", of(Some(origin), "the command of ProxyCommand".to_owned())));
    }
    rows.push(("login", login(&client.login)));
    for key in settings.identity_files.iter().flatten() {
        rows.push(("key", of(Some(&key.origin), safe_text::path(&key.value.path).to_string())));
    }
    if let Some(Traced { value: true, origin }) = &settings.identities_only {
        rows.push(("keys", of(Some(origin), "only these, and none else of the ssh-agent".to_owned())));
    }
    if let Some(agent) = &settings.identity_agent {
        let value = match &agent.value {
            IdentityAgent::None => "none".to_owned(),
            IdentityAgent::Variable(_) => "the socket that an environment variable names".to_owned(),
            IdentityAgent::Socket(path) => safe_text::path(path).to_string(),
        };
        rows.push(("ssh-agent", of(Some(&agent.origin), value)));
    }
    if let Some(alias) = &settings.host_key_alias {
        let value = format!("of {}", safe_text::label(&alias.value));
        rows.push(("host key", of(Some(&alias.origin), value)));
    }
    for files in [&settings.user_known_hosts, &settings.global_known_hosts].into_iter().flatten() {
        let names: Vec<String> = files.value.iter().map(|path| safe_text::path(path).to_string()).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        rows.push(("known hosts", of(Some(&files.origin), names)));
    }
    for said in &settings.remarks {
        rows.push(("note", remark(said)));
    }
    let name = safe_text::label(&client.name);
    let id = safe_text::client(&client.id).map(|id| format!(" ({id})")).unwrap_or_default();
    let lines = rows.iter().map(|(label, value)| format!("  {label:<11} {value}\n"));
    format!("{name}{id}\n{}", lines.collect::<String>())
}

//! The text of a new `config.xml`: annotated, with the hosts in their groups. What it says has been decided before.

use std::fmt::Write as _;

use super::{
    host::{Group, Host},
    plan::{LoginPlan, MailPlan, Plan},
    proposal::Limit,
};
use crate::config::entry;

/// The file of the schema for editors, beside the configuration, which names it.
pub const SCHEMA_FILE: &str = "config.xsd";

/// The longest text from elsewhere in a comment, in characters.
const LONGEST_REMARK: usize = 400;

/// The text.
#[must_use]
pub fn text(plan: &Plan) -> String {
    let Plan { fleet, login, mail, database, known_hosts, openssh_file, limits } = plan;
    let mut out = String::from(HEAD);
    let recipients = mail.as_ref().map(|mail| mail.to.as_str());
    line(&mut out, "  <!-- A sweep begins every minute. `mail` hears of problems of the collector itself. -->");
    element(&mut out, "  ", "collector", &[("interval", Some("60s")), ("mail", recipients)], "/>");
    line(
        &mut out,
        "\n  <!-- Samples, alerts, events and mails are kept here. Relative paths start in the working directory. -->",
    );
    element(&mut out, "  ", "database", &[("url", Some(database))], "/>");
    smtp(&mut out, mail.as_ref());
    line(
        &mut out,
        "\n  <!-- Only pinned host keys are accepted. For a new host, run `fleetsweep trust` and compare the fingerprint. -->",
    );
    let ssh =
        [("known-hosts", known_hosts.as_deref()), ("host-keys", Some("strict")), ("config", openssh_file.as_deref())];
    element(&mut out, "  ", "ssh", &ssh, "/>");
    line(
        &mut out,
        "\n  <!-- A mail when an alert is raised, a reminder every four hours, and a mail when it ends. -->",
    );
    element(&mut out, "  ", "alerts", &[("repeat", Some("4h")), ("recovery", Some("yes"))], "/>");
    line(
        &mut out,
        "\n  <!-- How to log in, who is mailed, and the limits. All of it holds for every client inside, unless the client says",
    );
    line(&mut out, "       otherwise. -->");
    let LoginPlan { username, key, passphrase, password } = login;
    // On the group it would win over the account that a file of OpenSSH names.
    let of_openssh = fleet.hosts().any(|host| host.has_openssh_user);
    let of_group = username.as_deref().filter(|_| !of_openssh);
    let group = [
        ("username", of_group),
        ("key", key.as_deref()),
        ("passphrase", passphrase.as_deref()),
        ("password", password.as_deref()),
        ("mail", recipients),
    ];
    element(&mut out, "  ", "group", &group, ">");
    limits.iter().for_each(|limit| alert(&mut out, limit));
    for group in &fleet.groups {
        hosts(&mut out, group, username.as_deref().filter(|_| of_openssh));
    }
    out.push_str("  </group>\n\n</config>\n");
    out
}

const HEAD: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<!--
  The configuration of fleetsweep, written by `fleetsweep init`. Change it as you like.

  fleetsweep check                 is it valid, and what does it mean?
  fleetsweep help configuration    every element and attribute
  fleetsweep schema > config.xsd   the schema, by which editors complete and check this file
-->
<config xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="config.xsd">

"#;

fn smtp(out: &mut String, mail: Option<&MailPlan>) {
    let Some(MailPlan { host, port, security, from, to: _, login }) = mail else {
        line(
            out,
            "\n  <!-- Nobody is mailed. To change that, name the server here, and write mail=\"you@example.com\" on the group below:",
        );
        line(out, "  <smtp host=\"mail.example.com\" security=\"starttls\" from=\"fleetsweep@example.com\"/> -->");
        return;
    };
    line(out, "\n  <!-- The mail server. `fleetsweep mail-test` sends one mail to each recipient. -->");
    let port = port.map(|port| port.to_string());
    let (username, password) = match login {
        Some((username, password)) => (Some(username.as_str()), Some(password.as_str())),
        None => (None, None),
    };
    let attributes = [
        ("host", Some(host.as_str())),
        ("port", port.as_deref()),
        ("security", Some(security.as_str())),
        ("from", Some(from.as_str())),
        ("username", username),
        ("password", password),
    ];
    element(out, "  ", "smtp", &attributes, "/>");
}

fn alert(out: &mut String, limit: &Limit) {
    let Limit { metric, limit, for_sweeps, clear, reason } = limit;
    line(out, &format!("    <!-- {} -->", remark(reason)));
    let for_sweeps = for_sweeps.map(|sweeps| sweeps.to_string());
    let attributes = [
        ("type", Some(metric.word())),
        ("limit", Some(limit.as_str())),
        ("for", for_sweeps.as_deref()),
        ("clear", clear.as_deref()),
    ];
    element(out, "    ", "alert", &attributes, "/>");
}

/// The clients of a group, in a `<group>` of their own if it has a title. What all of them have in common is said once.
fn hosts(out: &mut String, group: &Group, otherwise: Option<&str>) {
    let Group { title, hosts } = group;
    let indent = if title.is_some() { "      " } else { "    " };
    let user = |host: &Host| match (&host.username, host.has_openssh_user) {
        (Some(username), _) => Some(username.clone()),
        (None, true) => None,
        (None, false) => otherwise.map(str::to_owned),
    };
    let first = hosts.first();
    let common = first.filter(|_| title.is_some() && hosts.len() > 1);
    let common_user = common.and_then(user).filter(|name| hosts.iter().all(|host| user(host).as_ref() == Some(name)));
    let common_port =
        common.and_then(|host| host.port).filter(|port| hosts.iter().all(|host| host.port == Some(*port)));
    out.push('\n');
    if let Some(title) = title {
        line(out, &format!("    <!-- {} -->", remark(title)));
        let port = common_port.map(|port| port.to_string());
        element(out, "    ", "group", &[("username", common_user.as_deref()), ("port", port.as_deref())], ">");
    }
    for host in hosts {
        let own_user = user(host).filter(|_| common_user.is_none());
        let own_port = host.port.filter(|_| common_port.is_none()).map(|port| port.to_string());
        let attributes = [
            ("ip", Some(host.address.as_str())),
            ("port", own_port.as_deref()),
            ("name", host.name.as_deref()),
            ("username", own_user.as_deref()),
        ];
        element(out, indent, "client", &attributes, "/>");
    }
    if title.is_some() {
        line(out, "    </group>");
    }
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

/// An element with those attributes that have a value.
fn element(out: &mut String, indent: &str, name: &str, attributes: &[(&str, Option<&str>)], end: &str) {
    let _ = write!(out, "{indent}<{name}");
    for (attribute, value) in attributes {
        if let Some(value) = value {
            let _ = write!(out, " {attribute}=\"{}\"", entry::escaped(value));
        }
    }
    line(out, end);
}

/// A text from elsewhere in a comment: on one line, without what would end it.
fn remark(text: &str) -> String {
    let shown: String = text.chars().take(LONGEST_REMARK).map(|c| if c.is_control() { ' ' } else { c }).collect();
    // `--` and a hyphen at the end are not allowed.
    shown.replace("--", "- -").replace("--", "- -")
}

#[cfg(test)]
mod tests;

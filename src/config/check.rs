//! What `check` prints about a valid configuration: which clients are swept and how, which values are defaults, and the
//! maximum number of mails per day. Pure: it contacts nobody.

use std::fmt::{self, Write as _};

use secrecy::ExposeSecret as _;

use super::{
    AgentDelivery, AgentKeeping, Client, ClientElement, Config, Loaded, Setting, bastions, database,
    inspect::Sources,
    safe_text::{self, SafeText, words},
    span::show_duration,
};
use crate::fleet::{
    Rule,
    metric::{InstancePattern, Unit, Worse},
    rule::Repeat,
    security::{FurtherLog, redaction::REDACTED},
    units::counted,
};

mod mails;
mod parts;
mod way;

use mails::MailsADay;
use parts::{LISTED, login};
pub use way::ways;

/// What is counted, for one and for several.
const CLIENTS: (&str, &str) = ("client", "clients");

/// The summary, one or more lines that each end with a line break. Its length depends on how many kinds of clients
/// there are, not on how many clients.
#[must_use]
pub fn summary(loaded: &Loaded) -> String {
    let mut text = String::new();
    // Writing to a `String` does not fail.
    let _infallible = write(&mut text, loaded);
    text
}

fn write(out: &mut String, loaded: &Loaded) -> fmt::Result {
    let Config { collector, database, .. } = &loaded.config;
    let mails = |client: &Client| MailsADay::of(client, collector.interval);
    let count = loaded.config.clients.len();
    let interval = show_duration(collector.interval);
    writeln!(out, "{} swept every {interval}, {} at a time", counted(count as u64, CLIENTS), collector.concurrency)?;
    for kind in kinds(loaded) {
        writeln!(out)?;
        kind.write(out, mails(kind.example))?;
    }

    writeln!(out, "\nSettings (* default: not set in the file)")?;
    let settings = loaded.settings.chunk_by(|one, next| one.element == next.element);
    for (element, values) in settings.filter_map(|chunk| Some((chunk.first()?.element, chunk))) {
        let values: Vec<String> = values.iter().map(setting).collect();
        writeln!(out, "  {element:<10} {}", values.join(", "))?;
        if element == "database"
            && let Some(protection) = database::protection(database.url.expose_secret(), database.tls)
        {
            writeln!(out, "  {:<10} connection: {protection}", "")?;
        }
    }

    match collector.mail.as_slice() {
        [] => {
            writeln!(
                out,
                "\nProblems of the collector itself are only logged. Set `mail` on <collector> to have them mailed."
            )?;
        }
        mail => {
            let recipients: Vec<String> = mail.iter().map(|mailbox| safe_text::mail(mailbox).to_string()).collect();
            writeln!(out, "\nProblems of the collector itself are mailed to {}", recipients.join(", "))?;
        }
    }
    write_sources(out, &loaded.secrets)?;
    way::write_remarks(out, loaded)?;

    let total = loaded.config.clients.iter().map(mails).sum::<MailsADay>();
    writeln!(out, "\nMails a day, at most")?;
    total.write_reckoning(out, collector.interval)?;
    if total.has_events() {
        let most = collector.events;
        writeln!(
            out,
            "  Of each client, at most {} security events a day are kept and attached (`max-events`): {} MB in the database\n  \
             and about {} MB of mail to each recipient.",
            most.events,
            most.bytes().div_ceil(1_000_000),
            (most.bytes() / 3 * 4).div_ceil(1_000_000)
        )?;
    }
    Ok(())
}

/// Where the secrets come from, and which of the sources `check` has tried.
fn write_sources(out: &mut String, sources: &Sources) -> fmt::Result {
    let Sources { literal, environment, files, credentials, encrypted, identity, commands } = sources;
    if *sources == Sources::default() {
        return Ok(());
    }
    writeln!(out, "\nSecrets")?;
    for (count, from) in [
        (literal, "in the file itself"),
        (environment, "from environment variables (env:)"),
        (files, "from files (file:)"),
        (credentials, "from credentials of systemd (cred:)"),
    ] {
        if *count > 0 {
            writeln!(out, "  {count:>9}  {from}")?;
        }
    }
    if *encrypted > 0 {
        let with = identity.as_ref().map(|path| format!(", with the identity in {path}")).unwrap_or_default();
        writeln!(out, "  {encrypted:>9}  encrypted with age (age:){with}")?;
    }
    if !commands.is_empty() {
        let mut lines: Vec<String> = commands.iter().take(LISTED).map(ToString::to_string).collect();
        if commands.len() > LISTED {
            lines.push("…".to_owned());
        }
        let (count, lines) = (commands.len(), lines.join(", "));
        writeln!(out, "  {count:>9}  from commands (cmd:), which `check` does not run, in line {lines}")?;
    }
    Ok(())
}

fn setting(Setting { attribute, value, written, .. }: &Setting) -> String {
    format!("{attribute} {value}{}", if *written { "" } else { "*" })
}

/// Clients that differ only in their names and addresses.
struct Kind<'a> {
    example: &'a Client,
    /// What they have in common, as shown.
    manner: String,
    elements: Vec<&'a ClientElement>,
    clients: usize,
}

/// The kinds of clients, in the order of the first of each.
fn kinds(loaded: &Loaded) -> Vec<Kind<'_>> {
    let mut kinds: Vec<Kind<'_>> = Vec::new();
    for element in &loaded.entered {
        let Some(example) = loaded.config.clients.get(element.clients.start) else { continue };
        let manner = manner(example);
        let clients = element.clients.len();
        match kinds.iter_mut().find(|kind| kind.manner == manner) {
            Some(kind) => {
                kind.elements.push(element);
                kind.clients += clients;
            }
            None => kinds.push(Kind { example, manner, elements: vec![element], clients }),
        }
    }
    kinds
}

impl Kind<'_> {
    fn write(&self, out: &mut String, mails: MailsADay) -> fmt::Result {
        for (index, element) in self.elements.iter().take(LISTED).enumerate() {
            let count = if index == 0 { counted(self.clients as u64, CLIENTS) } else { String::new() };
            writeln!(out, "{count:<12} {}", shown(element))?;
        }
        if let Some(rest @ [_, ..]) = self.elements.get(LISTED..) {
            let clients: usize = rest.iter().map(|element| element.clients.len()).sum();
            writeln!(out, "{:<12} and {} more", "", counted(clients as u64, CLIENTS))?;
        }
        out.push_str(&self.manner);
        if !self.example.mail.is_empty() {
            writeln!(out, "  {:<10} {mails}", "each")?;
        }
        Ok(())
    }
}

fn shown(ClientElement { ip, name, .. }: &ClientElement) -> SafeText {
    let address = safe_text::addresses(ip);
    match name {
        Some(name) => words![safe_text::label(name), " (", address, ")"],
        None => address,
    }
}

/// Everything about a client except its name and address.
fn manner(client: &Client) -> String {
    let mut lines = vec![("login", {
        let account = safe_text::account(&client.username);
        format!("{account} at port {}, {}", client.id.port(), login(&client.login))
    })];
    if !client.via.is_empty() {
        let way: Vec<String> = client.via.iter().map(|bastion| bastions::shown(bastion)).collect();
        lines.push(("via", way.join(", then ")));
    }
    match client.rules.as_slice() {
        [] => lines.push(("alerts", "none".to_owned())),
        rules => {
            let labels = std::iter::once("alerts").chain(std::iter::repeat(""));
            lines.extend(labels.zip(rules.iter().map(rule)));
        }
    }
    let recipients: Vec<String> = client.mail.iter().map(|mailbox| safe_text::mail(mailbox).to_string()).collect();
    lines.push((
        "mail",
        if recipients.is_empty() { "to nobody".to_owned() } else { format!("to {}", recipients.join(", ")) },
    ));
    let events = match client.events {
        Some(true) => Some("security events are collected"),
        Some(false) => None,
        None => Some("security events are collected if the client runs Windows"),
    };
    let mailed = match client.events_mail {
        Repeat::Every => "mailed after every collection".to_owned(),
        Repeat::After(period) => format!("mailed every {}, and at once if they are grave", show_duration(period)),
    };
    lines.push((
        "events",
        events.map_or("security events are not collected".to_owned(), |events| format!("{events}, and {mailed}")),
    ));
    if !client.logs.is_empty() && client.events != Some(false) {
        let ids = |log: &FurtherLog| log.ids().iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let logs = client.logs.iter().map(|log| match log.ids() {
            [] => safe_text::label(log.channel()).to_string(),
            _ => format!("{} (ids {})", safe_text::label(log.channel()), ids(log)),
        });
        lines.push(("further logs", logs.collect::<Vec<_>>().join(", ")));
    }
    if client.ignore.is_some() && client.events != Some(false) {
        lines.push(("ignore", "events that `ignore` matches are stored, but not mailed".to_owned()));
    }
    if let (Some(_), Some(true) | None) = (&client.redact, client.events) {
        // The expression is not shown: it may contain the secret that it hides.
        lines.push(("redact", format!("text in them that `redact` matches is replaced by {REDACTED}")));
    }
    match &client.agent {
        AgentDelivery::Installed(agent) => {
            lines.push(("agent", format!("installed on the client as {}; nothing is uploaded", agent.shown())));
        }
        AgentDelivery::Uploaded { keeping, path } => {
            if *keeping == AgentKeeping::Remove {
                lines.push(("agent", "removed after each sweep".to_owned()));
            }
            if let Some(path) = path {
                lines.push(("agent-path", format!("the agent is put into {} on the client", path.shown())));
            }
        }
    }
    if client.legacy {
        let line =
            "SHA-1, CBC and ssh-rsa are offered as well (legacy=\"yes\"): who can change the traffic might break them";
        lines.push(("algorithms", line.to_owned()));
    }
    lines.iter().fold(String::new(), |text, (label, line)| text + &format!("  {label:<10} {line}\n"))
}

fn rule(rule: &Rule) -> String {
    let Rule { metric, instance, exclude, limit, clear, for_sweeps, repeat, recovery } = rule;
    let of_instance = instance.as_ref().map(|instance| format!(" {instance}")).unwrap_or_default();
    let patterns = exclude.iter().map(InstancePattern::as_str).collect::<Vec<_>>().join(", ");
    let but = if exclude.is_empty() { String::new() } else { format!(" (but {patterns})") };
    let worse = metric.spec().worse;
    let (beyond, within) = match worse {
        Worse::High => ("above", "at most"),
        Worse::Low => ("below", "at least"),
    };
    // Of a flag, only one limit makes sense.
    let condition = if let Unit::Flag { set, .. } = metric.spec().unit {
        set.to_owned()
    } else {
        format!("{beyond} {}", metric.show(*limit))
    };
    let mut text = format!("{metric}{of_instance}{but} {condition}");
    if *for_sweeps > 1 {
        text += &format!(" for {for_sweeps} sweeps");
    }
    if worse.is_worse(*limit, *clear) {
        text += &format!(", until {within} {}", metric.show(*clear));
    }
    text += &match repeat {
        Repeat::Every => "; a mail at every collection".to_owned(),
        Repeat::After(time) => format!("; a mail when raised and again every {}", show_duration(*time)),
    };
    if *recovery {
        text += ", and when it ends";
    }
    text
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::config::LoadContext;

    fn of(text: &str) -> String {
        let context = LoadContext { home: Some("/home/ops".into()), rights: None };
        summary(&Config::parse_in(text, "config.xml", &context).unwrap())
    }

    #[test]
    fn a_fleet_is_summed_up_by_its_kinds() {
        let single: String = (1..=20).map(|n| format!("<client ip='single-{n}' name='s{n}'/>")).collect();
        assert_snapshot!(of(&format!(
            r#"<config>
              <collector interval="5m" mail="admin@example.com"/>
              <database url="postgres://sweep:hunter2@db/fleet"/>
              <smtp host="mail.example.com" security="tls" username="f" password="hunter2"/>
              <alerts repeat="4h" recovery="yes"/>
              <client ip='127.0.0.1' username='user' password='hunter2' mail="asa@asda.com">
                <alert type="memory" limit="50%" repeat="every"/>
              </client>
              <group username="ops" key="~/.ssh/id_ed25519" passphrase="env:P" mail="ops@example.com, Ann &lt;a@example.com>">
                <alert type="disk" limit="90%" clear="85%"/>
                <alert type="unreachable" limit="2"/>
                <client ip="10.0.[4-5].[1-40]"/>
                <client ip="web-[01-12].example.com" name="w[01-12]"/>
                <client ip="db.example.com" name="db" events="yes" agent="remove" redact="password=(\S+)">
                  <alert type="disk" limit="70%" for="3"/>
                  <alert type="load" limit="1.5"/>
                </client>
              </group>
              <group username="root">{single}</group>
            </config>"#
        )));
    }

    #[test]
    fn the_way_to_a_client_names_the_file_as_the_user_did() {
        let context = LoadContext { home: Some("/home/ops".into()), rights: None };
        let loaded =
            Config::parse_in("<config><client ip='h' username='u'/></config>", "config.xml", &context).unwrap();
        let text = ways(&loaded);
        assert!(text.contains("address     h  (config.xml)\n"), "{text}");
    }

    #[test]
    fn the_smallest_fleet_shows_what_is_built_in() {
        assert_snapshot!(of("<config><client ip='h' username='u' events='no'/></config>"));
    }
}

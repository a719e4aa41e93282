//! Reads `<client>` and `<group>`: inheritance from groups, expansion of ranges, detection of duplicates. Their alerts are
//! read in [`rules`](super::rules), the settings of the whole fleet elsewhere.

use std::{
    collections::{HashMap, hash_map::Entry},
    ops::Range,
    path::{Path, PathBuf},
};

use lettre::message::Mailbox;

use super::{
    address,
    agent_delivery::AgentDelivery,
    agent_path::AgentPath,
    bastions::{self, Bastions, WrittenHop},
    choices::AgentChoice,
    event_logs,
    fields::{self, Field, field, required},
    loaded::ClientElement,
    model::{Client, KeyFile, Login},
    openssh::Openssh,
    range::{MOST, Pattern},
    rules::Rules,
    safe_text::{self, SafeText, words},
    secret::{SecretContext, SecretSource},
    settings::Settings,
    shape::{Attribute, Element},
    source::{Findings, Source},
    value_error::ValueError,
    values,
    ways::{self, Way, WayError, Written},
};
use crate::{
    fleet::{
        ClientId, Rule,
        rule::{self, Repeat},
        security::{FurtherLog, noise::Noise, redaction::Redaction},
    },
    ssh_config::HostQuery,
};

/// The default port of SSH.
const SSH_PORT: u16 = 22;

/// What a client inherits from the groups around it. The nearest group wins, separately for each attribute and for each
/// alert type and the instance that it names.
#[derive(Debug, Clone, Default)]
struct Inherited {
    port: Field<u16>,
    username: Field<String>,
    password: Field<SecretSource>,
    key: Field<PathBuf>,
    passphrase: Field<SecretSource>,
    mail: Field<Vec<Mailbox>>,
    agent: Field<AgentChoice>,
    agent_path: Field<Option<AgentPath>>,
    events: Field<bool>,
    events_mail: Field<Repeat>,
    logs: Vec<FurtherLog>,
    ignore: Field<Option<Noise>>,
    redact: Field<Option<Redaction>>,
    legacy: Field<bool>,
    via: Field<Vec<WrittenHop>>,
    rules: Vec<Rule>,
}

/// The clients of a file.
#[derive(Debug, Default)]
pub(super) struct Clients {
    /// In the order of the file.
    pub clients: Vec<Client>,
    /// The `<client>` elements they come from, in the same order.
    pub entered: Vec<ClientElement>,
}

/// Reads all clients from the root element.
pub(super) fn read(
    root: &Element,
    settings: &Settings,
    openssh: &Openssh,
    home: Option<&Path>,
    source: &Source<'_>,
    findings: &mut Findings,
) -> Clients {
    let secrets = SecretContext { home, age_identity: settings.age_identity.as_deref() };
    let bastions = bastions::read(root, secrets, openssh.default_keys(), source, findings);
    let mut reader = Reader {
        settings,
        bastions,
        openssh,
        home,
        source,
        findings,
        found: Clients::default(),
        ids: HashMap::new(),
        names: HashMap::new(),
        expanded: 0,
    };
    reader.children(root, &Inherited::default());
    let found = reader.found;
    if found.clients.is_empty() && findings.errors() == 0 {
        findings.error(
            root.name.at.clone(),
            "this file defines no client",
            "write at least one, for example `<client ip=\"10.0.4.1\" username=\"ops\"/>`",
        );
    }
    found
}

struct Reader<'a> {
    settings: &'a Settings,
    bastions: Bastions,
    openssh: &'a Openssh,
    home: Option<&'a Path>,
    source: &'a Source<'a>,
    findings: &'a mut Findings,
    found: Clients,
    /// The offset in the file at which each client was first written.
    ids: HashMap<ClientId, usize>,
    /// The offset at which each name was first used, and whether it came from a `name` attribute and not from the
    /// address.
    names: HashMap<String, (usize, bool)>,
    /// How many addresses were expanded. Once there are too many, expansion stops and one error is reported.
    expanded: usize,
}

impl Reader<'_> {
    /// The clients and groups directly in an element.
    fn children(&mut self, parent: &Element, given: &Inherited) {
        for child in &parent.children {
            match child.name.text.as_str() {
                "client" => self.client(child, given),
                "group" => {
                    let inner = self.given(child, given);
                    self.children(child, &inner);
                }
                _ => {} // Settings and unknown elements are handled elsewhere.
            }
        }
    }

    /// The attributes of an element, with those that it does not set inherited from the groups around it.
    fn given(&mut self, element: &Element, outer: &Inherited) -> Inherited {
        let home = self.home;
        let outer = outer.clone();
        let secrets = SecretContext { home, age_identity: self.settings.age_identity.as_deref() };
        let secret = |text: &str| SecretSource::parse(text, secrets);
        let findings = &mut *self.findings;
        Inherited {
            port: field(element, "port", findings, values::port).or(outer.port),
            username: field(element, "username", findings, values::line).or(outer.username),
            password: field(element, "password", findings, secret).or(outer.password),
            key: field(element, "key", findings, |text| values::path(text, home)).or(outer.key),
            passphrase: field(element, "passphrase", findings, secret).or(outer.passphrase),
            mail: field(element, "mail", findings, values::mails).or(outer.mail),
            agent: field(element, "agent", findings, values::agent).or(outer.agent),
            agent_path: field(element, "agent-path", findings, AgentPath::parse).or(outer.agent_path),
            events: field(element, "events", findings, values::yes_or_no).or(outer.events),
            events_mail: field(element, "events-mail", findings, values::events_mail).or(outer.events_mail),
            logs: event_logs::read(element, outer.logs, findings),
            ignore: field(element, "ignore", findings, values::ignore).or(outer.ignore),
            redact: field(element, "redact", findings, values::redact).or(outer.redact),
            legacy: field(element, "legacy", findings, values::yes_or_no).or(outer.legacy),
            via: field(element, "via", findings, bastions::via).or(outer.via),
            rules: Rules { source: self.source, settings: self.settings, findings: self.findings }
                .read(element, outer.rules),
        }
    }

    /// One `<client>`: all the clients that its ranges make.
    fn client(&mut self, element: &Element, outer: &Inherited) {
        let given = self.given(element, outer);
        if given.username.is_absent() && self.openssh.is_empty() {
            let example = "username=\"…\" here or on a group around it";
            fields::missing(element, "username", example, self.findings);
        }
        if let (true, Some(passphrase)) = (given.key.is_absent(), element.attribute("passphrase")) {
            fields::passphrase_without_key(passphrase, self.findings);
        }
        if self.expanded > MOST {
            // A short file can name billions of clients.
            return;
        }
        if rule::questions(&given.rules, &given.logs).is_err() {
            let problem = words![
                "the names of the processes and logs that this client is asked for have more than ",
                rule::MAX_QUESTION_BYTES,
                " bytes together"
            ];
            self.findings.error(element.name.at.clone(), problem, "write fewer or shorter names, or fewer ids");
        }
        let addresses = self.addresses(element);
        let Some(addresses) = addresses else { return };
        // Elements with errors count too, because expanding them costs the same.
        self.expanded += addresses.len();
        if self.expanded > MOST {
            let problem = words!["this brings the fleet to more than ", MOST, " clients"];
            self.findings.error(element.name.at.clone(), problem, "write smaller ranges, or split the fleet");
            return;
        }
        let names = match self.names(element, addresses.len()) {
            Field::Given(names) => Some(names),
            Field::Absent => None,
            Field::Wrong => return,
        };
        let port = match given.port {
            Field::Given(port) => port,
            Field::Absent => SSH_PORT,
            Field::Wrong => return,
        };
        self.duplicates(element, &addresses, port, names.as_deref());
        let passphrase = given.passphrase.clone().given();
        let key = given.key.clone().given().map(|path| KeyFile { path, passphrase });
        let password = given.password.clone().given();
        let login = Login::of(key, password);
        let Some(ways) = self.ways(element, &addresses, &given, &login) else { return };
        let mail = given.mail.given().unwrap_or_default();
        let choice = given.agent.given().unwrap_or(self.settings.agent);
        let agent_path = given.agent_path.given().unwrap_or_else(|| self.settings.agent_path.clone());
        let agent = match AgentDelivery::of(choice, agent_path) {
            Ok(agent) => agent,
            Err(ValueError { problem, hint, .. }) => {
                return self.findings.error(fields::place(element, "agent-path"), problem, hint);
            }
        };
        let events = given.events.given();
        let events_mail = given.events_mail.given().unwrap_or(Repeat::Every);
        let ignore = given.ignore.given().flatten();
        let redact = given.redact.given().unwrap_or_else(|| self.settings.redact.clone());
        let legacy = given.legacy.given().unwrap_or(false);
        let first = self.found.clients.len();
        let names: Vec<String> = names.unwrap_or_else(|| addresses.clone());
        self.found.clients.extend(addresses.into_iter().zip(names).zip(ways).map(|((address, name), way)| Client {
            id: ClientId::new(address, port),
            name,
            username: way.username,
            login: way.login,
            mail: mail.clone(),
            rules: given.rules.clone(),
            agent: agent.clone(),
            events,
            events_mail,
            logs: given.logs.clone(),
            ignore: ignore.clone(),
            redact: redact.clone(),
            legacy,
            via: way.via,
            openssh: way.openssh,
        }));
        let written = |name: &str| element.attribute(name).map(|attribute| attribute.value.text.clone());
        self.found.entered.push(ClientElement {
            ip: written("ip").unwrap_or_default(),
            name: written("name"),
            clients: first..self.found.clients.len(),
        });
    }

    /// The way to each address. `None` if there is none, which is reported.
    fn ways(&mut self, element: &Element, addresses: &[String], given: &Inherited, login: &Login) -> Option<Vec<Way>> {
        let port = match given.port {
            Field::Given(port) => Some(port),
            Field::Absent => None,
            Field::Wrong => return None,
        };
        let user = match &given.username {
            Field::Given(username) => Some(username.clone()),
            Field::Absent => None,
            Field::Wrong => return None,
        };
        let via = match &given.via {
            Field::Given(via) => Some(via.as_slice()),
            Field::Absent => None,
            Field::Wrong => return None,
        };
        let is_login_written = login.key.is_some() || login.password.is_some();
        let typed = element.attribute("ip").map(|ip| address::without_brackets(ip.value.text.trim()));
        let mut ways = Vec::with_capacity(addresses.len());
        for address in addresses {
            // OpenSSH compares a name as it is written. Ours is in lower case.
            let host = typed.filter(|text| text.eq_ignore_ascii_case(address)).unwrap_or(address).to_owned();
            let asked = HostQuery { host, user: user.clone(), port };
            let written = Written { asked, login: is_login_written.then_some(login), via };
            match ways::way(&written, self.openssh, &self.bastions) {
                Ok(way) => ways.push(way),
                Err(error) => {
                    self.report(element, error);
                    return None;
                }
            }
        }
        Some(ways)
    }

    fn report(&mut self, element: &Element, error: WayError) {
        match error {
            // They are reported already.
            WayError::NoUsername if self.openssh.is_empty() => {}
            WayError::Via => {}
            WayError::NoUsername => {
                let example = "username=\"…\" here or on a group around it, or `User` for it in ~/.ssh/config";
                fields::missing(element, "username", example, self.findings);
            }
            WayError::Openssh(problem) => self.findings.error(
                fields::place(element, "ip"),
                words!["the configuration of OpenSSH cannot be used for it: ", problem],
                "change it there, or write config=\"no\" on <ssh>",
            ),
        }
    }

    /// The addresses that `ip` of a client expands to, each in its canonical form.
    fn addresses(&mut self, element: &Element) -> Option<Vec<String>> {
        let example = "ip=\"10.0.4.1\", a host name or a range";
        required(element, "ip", example, self.findings, address::expanded)
    }

    /// The names that `name` of a client expands to, one for each address.
    fn names(&mut self, element: &Element, addresses: usize) -> Field<Vec<String>> {
        let parse = |text: &str| {
            let pattern = Pattern::parse(&values::line(text)?)?;
            if pattern.count() == addresses {
                return Ok(pattern.expand());
            }
            Err(if pattern.has_range() {
                ValueError::new(
                    words![
                        "this expands to ",
                        pattern.count(),
                        " names, but `ip` expands to ",
                        addresses,
                        if addresses == 1 { " address" } else { " addresses" }
                    ],
                    "write a range of the same length as the one in `ip`, or omit `name`",
                )
            } else {
                ValueError::new(
                    words!["this is one name for ", addresses, " clients"],
                    "write a range of the same length as the one in `ip`, for example `web-[01-40]`, or omit `name`",
                )
            })
        };
        field(element, "name", self.findings, parse)
    }

    /// Reports clients and names that already exist, once for each element.
    fn duplicates(&mut self, element: &Element, addresses: &[String], port: u16, names: Option<&[String]>) {
        let start = element.name.at.start;
        let mut again: Vec<(ClientId, usize)> = Vec::new();
        for address in addresses {
            match self.ids.entry(ClientId::new(address.as_str(), port)) {
                Entry::Occupied(first) => again.push((first.key().clone(), *first.get())),
                Entry::Vacant(place) => {
                    place.insert(start);
                }
            }
        }
        if let Some((id, first)) = again.first() {
            let client = safe_text::client(id).map_or("this client".into(), |id| words!["the client ", id]);
            let line = self.where_is(*first, start);
            let problem = words![client, others(again.len()), " is already defined ", line];
            self.findings.error(fields::place(element, "ip"), problem, "keep one of them");
            return;
        }
        let mut again: Vec<(String, usize)> = Vec::new();
        let written = names.is_some();
        for name in names.unwrap_or(addresses) {
            match self.names.entry(name.clone()) {
                // Clients at several ports of one address share its name, unless a name is written.
                Entry::Occupied(first) if written || first.get().1 => again.push((name.clone(), first.get().0)),
                Entry::Occupied(_) => {}
                Entry::Vacant(place) => {
                    place.insert((start, written));
                }
            }
        }
        if let Some((_, first)) = again.first() {
            let line = self.where_is(*first, start);
            let at: Range<usize> = fields::place(element, if written { "name" } else { "ip" });
            let problem = words!["this name", others(again.len()), " is already used ", line];
            self.findings.error(at, problem, "give each client a unique name");
        }
    }

    fn where_is(&self, first: usize, now: usize) -> SafeText {
        if first == now { "in this element".into() } else { words!["in line ", self.source.line_of(first)] }
    }
}

fn others(count: usize) -> SafeText {
    match count {
        0 | 1 => "".into(),
        more => words![" (and ", more - 1, " more)"],
    }
}

/// All attributes whose value is the secret itself, in the order of the file.
pub(super) fn literal_secrets<'a>(element: &'a Element, found: &mut Vec<&'a Attribute>) {
    found.extend(element.attributes.iter().filter(|attribute| {
        let text = &attribute.value.text;
        match attribute.name.text.as_str() {
            "password" | "passphrase" => {
                matches!(SecretSource::parse(text, SecretContext::default()), Ok(SecretSource::Literal(_)))
            }
            "url" => values::url_has_password(text),
            _ => false,
        }
    }));
    element.children.iter().for_each(|child| literal_secrets(child, found));
}

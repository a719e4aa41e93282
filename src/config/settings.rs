//! Reads the elements that occur once and concern the whole fleet: `<collector>`, `<database>`, `<smtp>`, `<ssh>`,
//! `<metrics>`, `<alerts>`. Each value is kept together with whether it was written or is the default. The clients are read
//! elsewhere.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use secrecy::ExposeSecret as _;

use super::{
    address,
    agent_path::AgentPath,
    choices::{AgentChoice, AgentKeeping, HostKeyPolicy, SmtpSecurity},
    database,
    fields::{self, Field, field},
    identity_file,
    loaded::Setting,
    model::{Collector, Database, Metrics, Smtp, SmtpLogin, Ssh},
    openssh,
    safe_text::{self, SafeText, words},
    schema,
    secret::{SecretContext, SecretSource},
    shape::Element,
    source::{Findings, Source},
    value_error::ValueError,
    values,
};
use crate::fleet::{rule::Repeat, security::redaction::Redaction};

const DAY: Duration = Duration::from_secs(86_400);
const SECOND: Duration = Duration::from_secs(1);

/// The settings of the whole fleet. `None` if a value is wrong, which has been reported.
#[derive(Debug)]
pub(super) struct Settings {
    pub collector: Option<Collector>,
    pub agent: AgentChoice,
    pub agent_path: Option<AgentPath>,
    pub redact: Option<Redaction>,
    /// `age-identity`: the file that decrypts the secrets of `age:`; `None` for the usual one.
    pub age_identity: Option<PathBuf>,
    pub database: Option<Database>,
    pub smtp: Option<Smtp>,
    pub ssh: Option<Ssh>,
    /// `None` also if there is no `<metrics>`.
    pub metrics: Option<Metrics>,
    pub repeat: Repeat,
    pub recovery: bool,
    /// Every value, in the order of the schema.
    pub shown: Vec<Setting>,
}

/// Reads the settings from the root element.
pub(super) fn read(root: &Element, home: Option<&Path>, source: &Source<'_>, findings: &mut Findings) -> Settings {
    schema_location(root, findings);
    let mut reader = Reader { root, source, findings, element: None, name: "", shown: Vec::new() };

    reader.enter("collector");
    let interval = reader.value("interval", |text| values::duration(text, SECOND..=30 * DAY));
    let concurrency = reader.value("concurrency", values::concurrency);
    let timeout = reader.value("timeout", |text| values::duration(text, SECOND..=DAY / 24));
    let retries = reader.value("retries", |text| values::within(text, schema::RETRIES));
    let agent = reader.value("agent", values::agent);
    let agent_path = reader.optional("agent-path", AgentPath::parse).flatten();
    let events = reader.value("max-events", values::max_events);
    let redact = reader.optional("redact", values::redact).flatten();
    let mail = reader.optional("mail", values::mails).unwrap_or_default();
    let age_identity = reader.optional(identity_file::ATTRIBUTE, |text| values::path(text, home));
    let collector = || {
        Some(Collector {
            interval: interval?,
            concurrency: concurrency?,
            timeout: timeout?,
            retries: retries?,
            events: events?,
            mail,
        })
    };
    let collector = collector();

    reader.enter("database");
    let url = reader.value("url", |text| database::parse(text, home));
    let tls = reader.optional("tls", values::database_tls);
    let retention = reader.value("retention", |text| values::duration(text, DAY / 24..=3650 * DAY));
    let history = reader.value("history", |text| values::duration(text, DAY..=36_525 * DAY));
    let max_size = reader.optional("max-size", values::database_size);
    let url = url.filter(|url| {
        if max_size.is_some()
            && database::is_server(url.expose_secret())
            && let Some(element) = reader.element
        {
            let at = fields::place(element, "max-size");
            let problem = "`max-size` limits a SQLite file, but `url` names a server";
            reader.findings.error(at, problem, "remove it, and shorten `retention` and `history` instead");
            return false;
        }
        let contradiction = database::contradiction(url.expose_secret(), tls);
        if let Some((wrong, element)) = contradiction.zip(reader.element) {
            let problem = words!["`url`: ", wrong.problem];
            reader.findings.error(fields::place(element, "url"), problem, wrong.hint);
            return false;
        }
        true
    });
    let database = url.zip(retention.zip(history)).map(|(url, (retention, history))| Database {
        url,
        tls,
        retention,
        history,
        max_size,
    });

    reader.enter("smtp");
    let secrets = SecretContext { home, age_identity: age_identity.as_deref() };
    let smtp = smtp(&mut reader, secrets);

    reader.enter("ssh");
    let known_hosts = reader.value("known-hosts", |text| values::path(text, home));
    let host_keys = reader.value("host-keys", values::host_keys);
    let config = reader.value("config", |text| openssh::parse(text, home));
    if host_keys == Some(HostKeyPolicy::Off) {
        let at = reader.element.map_or(0..0, |element| fields::place(element, "host-keys"));
        reader.findings.warning(
            at,
            "host keys are not checked, so an impostor could get the password of a client",
            "write host-keys=\"accept-new\", or \"strict\" and run `fleetsweep trust`",
        );
    }
    let ssh = || Some(Ssh { known_hosts: known_hosts?, host_keys: host_keys?, config: config? });
    let ssh = ssh();

    reader.enter("metrics");
    let metrics = reader.element.and_then(|element| metrics(&mut reader, element));

    reader.enter("alerts");
    let repeat = reader.value("repeat", values::repeat).unwrap_or(Repeat::Every);
    let recovery = reader.value("recovery", values::yes_or_no).unwrap_or(false);

    let agent = agent.unwrap_or(AgentChoice::Uploaded(AgentKeeping::Keep));
    Settings {
        collector,
        agent,
        agent_path,
        redact,
        age_identity,
        database,
        smtp,
        ssh,
        metrics,
        repeat,
        recovery,
        shown: reader.shown,
    }
}

/// The attributes of the root that tell editors where the schema is. They have no effect.
fn schema_location(root: &Element, findings: &mut Findings) {
    let namespace = field(root, schema::INSTANCE, findings, |text| match text {
        schema::INSTANCE_NAMESPACE => Ok(()),
        _ => Err(ValueError::new(
            "this is not the namespace of schema locations",
            words!["write `", schema::INSTANCE_NAMESPACE, "`"],
        )),
    });
    let location = field(root, schema::LOCATION, findings, |text| values::path(text, None).map(|_| ()));
    if namespace.is_absent() && !location.is_absent() {
        fields::missing(
            root,
            schema::INSTANCE,
            words![schema::INSTANCE, "=\"", schema::INSTANCE_NAMESPACE, "\""],
            findings,
        );
    }
}

fn metrics(reader: &mut Reader<'_>, element: &Element) -> Option<Metrics> {
    let listen = reader.value("listen", values::listen)?;
    if !listen.ip().to_canonical().is_loopback() {
        reader.findings.warning(
            fields::place(element, "listen"),
            "everybody who reaches this address can read the metrics, with the names and addresses of all clients: there is \
             no password and no encryption",
            "write listen=\"127.0.0.1:9469\", or let a firewall admit only your Prometheus",
        );
    }
    Some(Metrics { listen })
}

fn smtp(reader: &mut Reader<'_>, secrets: SecretContext<'_>) -> Option<Smtp> {
    let host = reader.value("host", address::parse);
    let security = reader.value("security", values::security);
    let default_port = match security {
        Some(SmtpSecurity::None) | None => 25,
        Some(SmtpSecurity::StartTls) => 587,
        Some(SmtpSecurity::Tls) => 465,
    };
    let port = reader.value_or("port", &default_port.to_string(), values::port);
    let from = reader.value("from", values::mailbox);
    let helo = reader.unless_absent("helo", values::helo);
    let ca = reader.unless_absent("ca", |text| values::path(text, secrets.home));
    if let (Some(element), Some(Some(_)), Some(SmtpSecurity::None)) = (reader.element, &ca, security) {
        reader.findings.warning(
            fields::place(element, "ca"),
            "these certificates are not used, because the connection is not encrypted",
            "write security=\"starttls\" or security=\"tls\", or remove `ca`",
        );
    }
    let (username, password) = match reader.element {
        Some(element) => (
            field(element, "username", reader.findings, values::line),
            field(element, "password", reader.findings, |text| SecretSource::parse(text, secrets)),
        ),
        None => (Field::Absent, Field::Absent),
    };
    if let Some(element) = reader.element
        && username.is_absent() != password.is_absent()
    {
        let (lacking, example) = if username.is_absent() {
            ("username", "username=\"…\", or remove the password")
        } else {
            ("password", "password=\"env:NAME\", or remove the username")
        };
        fields::missing(element, lacking, example, reader.findings);
    }
    let login = match (username, password) {
        (Field::Given(username), Field::Given(password)) => {
            reader.show("username", safe_text::account(&username), true);
            reader.show("password", password.shown(), true);
            Some(SmtpLogin { username, password })
        }
        (Field::Wrong, _) | (_, Field::Wrong) => return None,
        (Field::Absent | Field::Given(_), Field::Absent | Field::Given(_)) => None,
    };
    let give_up = reader.value("give-up", |text| values::duration(text, DAY / 24..=365 * DAY));
    let mail_size = reader.value("mail-size", values::mail_size);
    let attachments = reader.value("attachments", values::attachments);
    if let (Some(element), Some(_), Some(SmtpSecurity::None), Some(host)) = (reader.element, &login, security, &host)
        && !address::is_loopback(host)
    {
        reader.findings.warning(
            fields::place(element, "password"),
            match safe_text::server(host) {
                Some(host) => words!["the SMTP password is sent unencrypted to ", host],
                None => "the SMTP password is sent unencrypted to this server".into(),
            },
            "write security=\"starttls\" or security=\"tls\"",
        );
    }
    Some(Smtp {
        host: host?,
        port: port?,
        security: security?,
        from: from?,
        helo: helo?,
        ca: ca?,
        login,
        give_up: give_up?,
        mail_size: mail_size?,
        attachments: attachments?,
    })
}

/// Reads one element after the other and keeps every value as it may be shown.
struct Reader<'a> {
    root: &'a Element,
    source: &'a Source<'a>,
    findings: &'a mut Findings,
    /// The current element; `None` if it is not in the file.
    element: Option<&'a Element>,
    name: &'static str,
    shown: Vec<Setting>,
}

impl Reader<'_> {
    /// Moves to the element of this name and reports a second one as an error.
    fn enter(&mut self, name: &'static str) {
        self.name = name;
        let mut written = self.root.children.iter().filter(|child| child.name.text == name);
        self.element = written.next();
        let is_single = schema::element(name).is_some_and(|kind| kind.is_single);
        for second in written.filter(|_| is_single) {
            let first = self.element.map_or(0, |element| self.source.line_of(element.name.at.start));
            self.findings.error(
                second.name.at.clone(),
                words!["there is a second `<", name, ">`; the first is in line ", first],
                "merge the two elements",
            );
        }
    }

    fn show(&mut self, attribute: &'static str, value: SafeText, written: bool) {
        self.shown.push(Setting { element: self.name, attribute, value, written });
    }

    /// A value with a fixed default.
    fn value<T>(&mut self, attribute: &'static str, parse: impl Fn(&str) -> Result<T, ValueError>) -> Option<T> {
        let default = schema::default_of(self.name, attribute).unwrap_or_default();
        self.value_or(attribute, default, parse)
    }

    /// An optional value. It is shown only if it is written.
    fn optional<T>(&mut self, attribute: &'static str, parse: impl Fn(&str) -> Result<T, ValueError>) -> Option<T> {
        self.element.and_then(|element| element.attribute(attribute))?;
        self.value(attribute, parse)
    }

    /// An optional value: `None` if it is wrong, `Some(None)` if it is absent.
    fn unless_absent<T>(
        &mut self,
        attribute: &'static str,
        parse: impl Fn(&str) -> Result<T, ValueError>,
    ) -> Option<Option<T>> {
        let is_written = self.element.is_some_and(|element| element.attribute(attribute).is_some());
        if is_written { self.value(attribute, parse).map(Some) } else { Some(None) }
    }

    /// A value with a default that depends on other values.
    fn value_or<T>(
        &mut self,
        attribute: &'static str,
        default: &str,
        parse: impl Fn(&str) -> Result<T, ValueError>,
    ) -> Option<T> {
        let written = self.element.and_then(|element| element.attribute(attribute));
        let text = written.map_or(default, |attribute| attribute.value.text.as_str());
        let kind = schema::kind_of(self.name, attribute);
        let shown = kind.map_or_else(SafeText::hidden, |kind| safe_text::valid(kind, text));
        self.show(attribute, shown, written.is_some());
        self.parsed(attribute, text, parse)
    }

    fn parsed<T>(
        &mut self,
        name: &'static str,
        text: &str,
        parse: impl Fn(&str) -> Result<T, ValueError>,
    ) -> Option<T> {
        match parse(text) {
            Ok(value) => Some(value),
            Err(wrong) => {
                match self.element.and_then(|element| element.attribute(name)) {
                    Some(attribute) => fields::report(attribute, name, wrong, self.findings),
                    // Defaults are valid, except that `~` needs a home directory.
                    None => self
                        .findings
                        .error_of_file(words!["`", name, "` of `<", self.name, ">`: ", wrong.problem], wrong.hint),
                }
                None
            }
        }
    }
}

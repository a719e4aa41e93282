//! The schema of `config.xml`: every element, its possible parents, its attributes, the types of their values and the
//! defaults. Parsing, the "did you mean" hints, the hiding of secrets and the test of the shipped file read this table.
//! The meaning of the values is elsewhere.

use crate::fleet::Metric;

/// An element.
#[derive(Debug)]
pub(super) struct ElementKind {
    /// Its name.
    pub name: &'static str,
    /// The elements that may contain it.
    pub parents: &'static [&'static str],
    /// Whether there may be only one.
    pub is_single: bool,
    /// Its attributes.
    pub attributes: &'static [AttributeKind],
}

/// The schema for editors, in the language XML Schema.
#[derive(Debug)]
pub struct Schema;

impl Schema {
    /// Its text. It is made of the table below by a test, which compares it.
    pub const TEXT: &str = include_str!("../../assets/config.xsd");
}

/// An attribute.
#[derive(Debug)]
pub(super) struct AttributeKind {
    /// Its name.
    pub name: &'static str,
    /// The type of its value.
    pub kind: ValueKind,
    /// The default; `None` if there is none, or if it depends on other values.
    pub default: Option<&'static str>,
}

/// The bounds of a whole number, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    /// The least.
    pub least: u32,
    /// The most.
    pub most: u32,
}

impl Bounds {
    const fn new(least: u32, most: u32) -> Self {
        Self { least, most }
    }
}

/// A TCP port.
pub(super) const PORT: Bounds = Bounds::new(1, 65_535);
/// How many clients at once, and how many logins at once behind a bastion.
pub(super) const AT_ONCE: Bounds = Bounds::new(1, 4096);
/// `retries`.
pub(super) const RETRIES: Bounds = Bounds::new(0, 10);
/// `max-events`.
pub(super) const MAX_EVENTS: Bounds = Bounds::new(1, 1_000_000_000);
/// `for` of an alert.
pub(super) const FOR_SWEEPS: Bounds = Bounds::new(1, 10_000);

/// The type of a value. It decides whether the value may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueKind {
    /// A keyword.
    Choice(&'static [&'static str]),
    /// The type of an alert.
    Metric,
    /// A whole number.
    Whole(Bounds),
    /// A duration.
    Duration,
    /// The same, or a keyword.
    DurationOrChoice(&'static [&'static str]),
    /// A number of bytes.
    Size,
    /// A limit, in the unit of its metric.
    Limit,
    /// An IP address or a host name, possibly with ranges.
    Address,
    /// An IP address of this machine and a port.
    Socket,
    /// Servers, each by its name or as `user@host:port`.
    Servers,
    /// The path of a file.
    Path,
    /// The same, or nothing, which cancels that of a group.
    PathOrNothing,
    /// The same, or a keyword.
    PathOrChoice(&'static [&'static str]),
    /// Mail addresses.
    Mail,
    /// The name of an account.
    Account,
    /// The name of a client.
    Label,
    /// The URL of a database.
    DatabaseUrl,
    /// A regular expression.
    Expression,
    /// A secret or its source.
    Secret,
    /// The name that XML Schema has for its own attributes.
    Namespace,
}

impl ValueKind {
    /// The possible keywords.
    pub(super) fn words(self) -> impl Iterator<Item = &'static str> {
        let (list, metrics) = match self {
            Self::Choice(list) | Self::DurationOrChoice(list) | Self::PathOrChoice(list) => (list, [].as_slice()),
            Self::Metric => ([].as_slice(), Metric::ALL.as_slice()),
            Self::Whole(_)
            | Self::Duration
            | Self::Size
            | Self::Limit
            | Self::Namespace
            | Self::Address
            | Self::Socket
            | Self::Servers
            | Self::Path
            | Self::PathOrNothing
            | Self::Mail
            | Self::Account
            | Self::Label
            | Self::DatabaseUrl
            | Self::Expression
            | Self::Secret => ([].as_slice(), [].as_slice()),
        };
        list.iter().copied().chain(metrics.iter().map(|metric| metric.word()))
    }
}

impl ElementKind {
    /// Whether the element has an attribute of this name.
    pub(super) fn knows(&self, attribute: &str) -> bool {
        self.attributes.iter().any(|known| known.name == attribute)
    }

    /// The attribute that was probably meant; `None` if `written` is a known one, or close to none.
    pub(super) fn meant(&self, written: &str) -> Option<&'static str> {
        if self.knows(written) { None } else { meant(written, self.attributes.iter().map(|known| known.name)) }
    }
}

const fn plain(name: &'static str, kind: ValueKind) -> AttributeKind {
    AttributeKind { name, kind, default: None }
}

const fn with(name: &'static str, kind: ValueKind, default: &'static str) -> AttributeKind {
    AttributeKind { name, kind, default: Some(default) }
}

/// `yes` or `no`.
pub(super) const YES_OR_NO: [&str; 2] = ["yes", "no"];
/// `security` of `<smtp>`.
pub(super) const ATTACHMENTS: [&str; 2] = ["text", "gzip"];
pub(super) const SECURITY: [&str; 3] = ["none", "starttls", "tls"];
/// `tls` of `<database>`.
pub(super) const DATABASE_TLS: [&str; 2] = ["required", "off"];
/// `host-keys` of `<ssh>`.
pub(super) const HOST_KEYS: [&str; 3] = ["strict", "accept-new", "off"];
/// `agent` of `<collector>`, groups and clients.
pub(super) const AGENT: [&str; 3] = ["keep", "remove", "installed"];
/// The keyword for a mail at every collection.
pub(super) const EVERY: &str = "every";

/// Wrong names that people are likely to write. Messages may repeat such a name, because it cannot contain a secret.
pub(super) const FOREIGN_NAMES: [&str; 60] = [
    "account",
    "address",
    "agents",
    "alarm",
    "application",
    "audit",
    "class",
    "clear-at",
    "color",
    "colour",
    "comment",
    "config-file",
    "configuration",
    "cpu",
    "cron",
    "db",
    "defaults",
    "description",
    "disabled",
    "disk",
    "dns",
    "domain",
    "email",
    "enabled",
    "encryption",
    "event",
    "every",
    "file",
    "filter",
    "fingerprint",
    "format",
    "hostname",
    "id",
    "identity",
    "include",
    "label",
    "level",
    "location",
    "log",
    "login",
    "logging",
    "machine",
    "memory",
    "metric",
    "node",
    "notes",
    "notify",
    "os",
    "owner",
    "proxy",
    "role",
    "schedule",
    "sender",
    "server",
    "service",
    "settings",
    "subject",
    "system",
    "threshold",
    "xmlns",
];

/// Wrong words that people are likely to write in place of a keyword, a number or a time.
pub(super) const FOREIGN_WORDS: [&str; 59] = [
    "all",
    "always",
    "any",
    "auto",
    "bandwidth",
    "cores",
    "daily",
    "debug",
    "default",
    "deny",
    "disable",
    "disabled",
    "enable",
    "enabled",
    "error",
    "fail",
    "false",
    "few",
    "forever",
    "half",
    "high",
    "hourly",
    "ignore",
    "info",
    "instantly",
    "io",
    "kept",
    "later",
    "load1",
    "low",
    "many",
    "max",
    "maybe",
    "medium",
    "min",
    "monthly",
    "network",
    "never",
    "nothing",
    "on",
    "once",
    "often",
    "optional",
    "perhaps",
    "ping",
    "plain",
    "prompt",
    "ram",
    "required",
    "smtps",
    "soon",
    "ssh",
    "ssl",
    "starttls",
    "true",
    "unlimited",
    "uptime",
    "warn",
    "weekly",
];

/// The root.
pub(super) const ROOT: &str = "config";
/// The attribute of the root that declares the next one.
pub(super) const INSTANCE: &str = "xmlns:xsi";
/// The attribute of the root by which editors find the schema. The program does not read it.
pub(super) const LOCATION: &str = "xsi:noNamespaceSchemaLocation";
/// The only value of the first one.
pub(super) const INSTANCE_NAMESPACE: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// Every element.
pub(super) const ELEMENTS: [ElementKind; 12] = [
    ElementKind {
        name: ROOT,
        parents: &[],
        is_single: true,
        attributes: &[plain(INSTANCE, ValueKind::Namespace), plain(LOCATION, ValueKind::Path)],
    },
    ElementKind {
        name: "collector",
        parents: &[ROOT],
        is_single: true,
        attributes: &[
            with("interval", ValueKind::Duration, "60s"),
            with("concurrency", ValueKind::Whole(AT_ONCE), "128"),
            with("timeout", ValueKind::Duration, "30s"),
            with("retries", ValueKind::Whole(RETRIES), "1"),
            with("agent", ValueKind::Choice(&AGENT), "keep"),
            plain("agent-path", ValueKind::PathOrNothing),
            with("max-events", ValueKind::Whole(MAX_EVENTS), "100000"),
            plain("redact", ValueKind::Expression),
            plain("mail", ValueKind::Mail),
            plain("age-identity", ValueKind::Path),
        ],
    },
    ElementKind {
        name: "database",
        parents: &[ROOT],
        is_single: true,
        attributes: &[
            with("url", ValueKind::DatabaseUrl, "sqlite:fleetsweep.db"),
            with("retention", ValueKind::Duration, "90d"),
            with("history", ValueKind::Duration, "5y"),
            plain("tls", ValueKind::Choice(&DATABASE_TLS)),
            plain("max-size", ValueKind::Size),
        ],
    },
    ElementKind {
        name: "smtp",
        parents: &[ROOT],
        is_single: true,
        attributes: &[
            with("host", ValueKind::Address, "127.0.0.1"),
            plain("port", ValueKind::Whole(PORT)),
            with("security", ValueKind::Choice(&SECURITY), "none"),
            with("from", ValueKind::Mail, "fleetsweep@localhost"),
            plain("helo", ValueKind::Address),
            plain("ca", ValueKind::Path),
            plain("username", ValueKind::Account),
            plain("password", ValueKind::Secret),
            with("give-up", ValueKind::Duration, "5d"),
            with("mail-size", ValueKind::Size, "10MB"),
            with("attachments", ValueKind::Choice(&ATTACHMENTS), "text"),
        ],
    },
    ElementKind {
        name: "ssh",
        parents: &[ROOT],
        is_single: true,
        attributes: &[
            with("known-hosts", ValueKind::Path, "~/.ssh/known_hosts"),
            with("host-keys", ValueKind::Choice(&HOST_KEYS), "accept-new"),
            with("config", ValueKind::PathOrChoice(&YES_OR_NO), "yes"),
        ],
    },
    ElementKind {
        name: "metrics",
        parents: &[ROOT],
        is_single: true,
        attributes: &[with("listen", ValueKind::Socket, "127.0.0.1:9469")],
    },
    ElementKind {
        name: "alerts",
        parents: &[ROOT],
        is_single: true,
        attributes: &[
            with("repeat", ValueKind::DurationOrChoice(&[EVERY]), "every"),
            with("recovery", ValueKind::Choice(&YES_OR_NO), "no"),
        ],
    },
    ElementKind {
        name: "bastion",
        parents: &[ROOT],
        is_single: false,
        attributes: &[
            plain("name", ValueKind::Label),
            plain("host", ValueKind::Address),
            with("port", ValueKind::Whole(PORT), "22"),
            plain("username", ValueKind::Account),
            plain("password", ValueKind::Secret),
            plain("key", ValueKind::Path),
            plain("passphrase", ValueKind::Secret),
            with("max-logins", ValueKind::Whole(AT_ONCE), "32"),
            with("legacy", ValueKind::Choice(&YES_OR_NO), "no"),
        ],
    },
    ElementKind {
        name: "client",
        parents: &[ROOT, "group"],
        is_single: false,
        attributes: &[
            plain("ip", ValueKind::Address),
            plain("name", ValueKind::Label),
            with("port", ValueKind::Whole(PORT), "22"),
            plain("username", ValueKind::Account),
            plain("password", ValueKind::Secret),
            plain("key", ValueKind::Path),
            plain("passphrase", ValueKind::Secret),
            plain("mail", ValueKind::Mail),
            plain("agent", ValueKind::Choice(&AGENT)),
            plain("agent-path", ValueKind::PathOrNothing),
            plain("events", ValueKind::Choice(&YES_OR_NO)),
            with("events-mail", ValueKind::DurationOrChoice(&[EVERY]), "every"),
            plain("ignore", ValueKind::Expression),
            plain("redact", ValueKind::Expression),
            with("legacy", ValueKind::Choice(&YES_OR_NO), "no"),
            plain("via", ValueKind::Servers),
        ],
    },
    ElementKind {
        name: "group",
        parents: &[ROOT, "group"],
        is_single: false,
        attributes: &[
            plain("port", ValueKind::Whole(PORT)),
            plain("username", ValueKind::Account),
            plain("password", ValueKind::Secret),
            plain("key", ValueKind::Path),
            plain("passphrase", ValueKind::Secret),
            plain("mail", ValueKind::Mail),
            plain("agent", ValueKind::Choice(&AGENT)),
            plain("agent-path", ValueKind::PathOrNothing),
            plain("events", ValueKind::Choice(&YES_OR_NO)),
            plain("events-mail", ValueKind::DurationOrChoice(&[EVERY])),
            plain("ignore", ValueKind::Expression),
            plain("redact", ValueKind::Expression),
            plain("legacy", ValueKind::Choice(&YES_OR_NO)),
            plain("via", ValueKind::Servers),
        ],
    },
    ElementKind {
        name: "events",
        parents: &["client", "group"],
        is_single: false,
        attributes: &[plain("channel", ValueKind::Label), plain("ids", ValueKind::Label)],
    },
    ElementKind {
        name: "alert",
        parents: &["client", "group"],
        is_single: false,
        attributes: &[
            plain("type", ValueKind::Metric),
            plain("limit", ValueKind::Limit),
            plain("mount", ValueKind::Path),
            plain("interface", ValueKind::Label),
            plain("name", ValueKind::Label),
            plain("exclude", ValueKind::Path),
            with("for", ValueKind::Whole(FOR_SWEEPS), "1"),
            plain("clear", ValueKind::Limit),
            plain("repeat", ValueKind::DurationOrChoice(&[EVERY])),
        ],
    },
];

/// The element of this name.
pub(super) fn element(name: &str) -> Option<&'static ElementKind> {
    ELEMENTS.iter().find(|kind| kind.name == name)
}

/// The names of all elements.
pub(super) fn element_names() -> impl Iterator<Item = &'static str> {
    ELEMENTS.iter().map(|kind| kind.name)
}

/// The names of all attributes. A name occurs once for each element that has it.
pub(super) fn attribute_names() -> impl Iterator<Item = &'static str> {
    ELEMENTS.iter().flat_map(|kind| kind.attributes).map(|attribute| attribute.name)
}

/// The type of an attribute's value; `None` if the element has no such attribute.
pub(super) fn kind_of(element_name: &str, attribute: &str) -> Option<ValueKind> {
    Some(element(element_name)?.attributes.iter().find(|kind| kind.name == attribute)?.kind)
}

/// The default of an attribute.
pub(super) fn default_of(element_name: &str, attribute: &str) -> Option<&'static str> {
    element(element_name)?.attributes.iter().find(|kind| kind.name == attribute)?.default
}

/// The word that was probably meant.
pub(super) fn meant(written: &str, words: impl IntoIterator<Item = &'static str>) -> Option<&'static str> {
    /// The least similarity that counts: `mail` and `email` have 0.93, `host` and `ip` have 0.
    const ALIKE: f64 = 0.8;
    let written = written.to_lowercase();
    words
        .into_iter()
        .map(|word| (strsim::jaro_winkler(&written, word), word))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_finds_its_word() {
        for (written, expected) in [
            ("usrname", Some("username")),
            ("username", None),
            ("user", Some("username")),
            ("pasword", Some("password")),
            ("Port", Some("port")),
            ("email", Some("mail")),
            ("host", None),
            ("colour", None),
        ] {
            assert_eq!(element("client").unwrap().meant(written), expected, "{written}");
        }
    }
}

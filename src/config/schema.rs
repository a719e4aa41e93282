//! The vocabulary of `config.xml`: every element, where it stands, its attributes, the types of their values and
//! their built-in defaults. One table: reading, "did you mean", what may be shown and the test of the shipped
//! file use it. Not the meaning of any value.

use crate::fleet::Metric;

/// An element.
#[derive(Debug)]
pub(super) struct ElementKind {
    /// Its name.
    pub name: &'static str,
    /// The elements in which it may stand.
    pub parents: &'static [&'static str],
    /// Its attributes.
    pub attributes: &'static [AttributeKind],
}

/// An attribute.
#[derive(Debug)]
pub(super) struct AttributeKind {
    /// Its name.
    pub name: &'static str,
    /// What its value is.
    pub kind: ValueKind,
    /// What holds where it is not written; `None` where nothing does, or where it depends.
    pub default: Option<&'static str>,
}

/// The type of a value, as far as it matters for who may see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueKind {
    /// A word of a closed list.
    Choice(&'static [&'static str]),
    /// The type of an alert.
    Metric,
    /// A number, a span of time, a share.
    Measure,
    /// The same, or a word of a closed list.
    MeasureOrChoice(&'static [&'static str]),
    /// An IP address or a host name, perhaps with ranges.
    Address,
    /// The path of a file.
    Path,
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
    /// A secret, or where it comes from.
    Secret,
}

impl ValueKind {
    /// The words that may stand there.
    pub(super) fn words(self) -> impl Iterator<Item = &'static str> {
        let (list, metrics) = match self {
            Self::Choice(list) | Self::MeasureOrChoice(list) => (list, [].as_slice()),
            Self::Metric => ([].as_slice(), Metric::ALL.as_slice()),
            Self::Measure
            | Self::Address
            | Self::Path
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
    /// Whether it has an attribute of this name.
    pub(super) fn knows(&self, attribute: &str) -> bool {
        self.attributes.iter().any(|known| known.name == attribute)
    }

    /// The attribute that was probably meant; `None` for those it knows.
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
pub(super) const SECURITY: [&str; 3] = ["none", "starttls", "tls"];
/// `tls` of `<database>`.
pub(super) const DATABASE_TLS: [&str; 2] = ["required", "off"];
/// `host-keys` of `<ssh>`.
pub(super) const HOST_KEYS: [&str; 3] = ["strict", "accept-new", "off"];
/// `agent`.
pub(super) const AGENT: [&str; 2] = ["keep", "remove"];
/// A mail at every collection.
pub(super) const EVERY: &str = "every";

/// Names that people write in place of ours, or expect beside them. Such a name can be repeated: it says nothing else.
pub(super) const FOREIGN_NAMES: [&str; 62] = [
    "account",
    "address",
    "agents",
    "alarm",
    "application",
    "audit",
    "bastion",
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
    "metrics",
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

/// Words that people write where one of a closed list, a number or a time should stand.
pub(super) const FOREIGN_WORDS: [&str; 60] = [
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
    "temperature",
    "true",
    "unlimited",
    "uptime",
    "warn",
    "weekly",
];

/// The root.
pub(super) const ROOT: &str = "config";

/// Every element.
pub(super) const ELEMENTS: [ElementKind; 9] = [
    ElementKind { name: ROOT, parents: &[], attributes: &[] },
    ElementKind {
        name: "collector",
        parents: &[ROOT],
        attributes: &[
            with("interval", ValueKind::Measure, "60s"),
            with("concurrency", ValueKind::Measure, "128"),
            with("timeout", ValueKind::Measure, "30s"),
            with("retries", ValueKind::Measure, "1"),
            with("agent", ValueKind::Choice(&AGENT), "keep"),
            with("max-events", ValueKind::Measure, "100000"),
            plain("redact", ValueKind::Expression),
            plain("mail", ValueKind::Mail),
        ],
    },
    ElementKind {
        name: "database",
        parents: &[ROOT],
        attributes: &[
            with("url", ValueKind::DatabaseUrl, "sqlite:fleetsweep.db"),
            with("retention", ValueKind::Measure, "90d"),
            plain("tls", ValueKind::Choice(&DATABASE_TLS)),
        ],
    },
    ElementKind {
        name: "smtp",
        parents: &[ROOT],
        attributes: &[
            with("host", ValueKind::Address, "127.0.0.1"),
            plain("port", ValueKind::Measure),
            with("security", ValueKind::Choice(&SECURITY), "none"),
            with("from", ValueKind::Mail, "fleetsweep@localhost"),
            plain("helo", ValueKind::Address),
            plain("ca", ValueKind::Path),
            plain("username", ValueKind::Account),
            plain("password", ValueKind::Secret),
            with("give-up", ValueKind::Measure, "5d"),
        ],
    },
    ElementKind {
        name: "ssh",
        parents: &[ROOT],
        attributes: &[
            with("known-hosts", ValueKind::Path, "~/.ssh/known_hosts"),
            with("host-keys", ValueKind::Choice(&HOST_KEYS), "accept-new"),
        ],
    },
    ElementKind {
        name: "alerts",
        parents: &[ROOT],
        attributes: &[
            with("repeat", ValueKind::MeasureOrChoice(&[EVERY]), "every"),
            with("recovery", ValueKind::Choice(&YES_OR_NO), "no"),
        ],
    },
    ElementKind {
        name: "client",
        parents: &[ROOT, "group"],
        attributes: &[
            plain("ip", ValueKind::Address),
            plain("name", ValueKind::Label),
            with("port", ValueKind::Measure, "22"),
            plain("username", ValueKind::Account),
            plain("password", ValueKind::Secret),
            plain("key", ValueKind::Path),
            plain("passphrase", ValueKind::Secret),
            plain("mail", ValueKind::Mail),
            plain("agent", ValueKind::Choice(&AGENT)),
            plain("events", ValueKind::Choice(&YES_OR_NO)),
            plain("redact", ValueKind::Expression),
        ],
    },
    ElementKind {
        name: "group",
        parents: &[ROOT, "group"],
        attributes: &[
            plain("port", ValueKind::Measure),
            plain("username", ValueKind::Account),
            plain("password", ValueKind::Secret),
            plain("key", ValueKind::Path),
            plain("passphrase", ValueKind::Secret),
            plain("mail", ValueKind::Mail),
            plain("agent", ValueKind::Choice(&AGENT)),
            plain("events", ValueKind::Choice(&YES_OR_NO)),
            plain("redact", ValueKind::Expression),
        ],
    },
    ElementKind {
        name: "alert",
        parents: &["client", "group"],
        attributes: &[
            plain("type", ValueKind::Metric),
            plain("limit", ValueKind::Measure),
            with("for", ValueKind::Measure, "1"),
            plain("clear", ValueKind::Measure),
            plain("repeat", ValueKind::MeasureOrChoice(&[EVERY])),
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

/// The names of all attributes, those of several elements several times.
pub(super) fn attribute_names() -> impl Iterator<Item = &'static str> {
    ELEMENTS.iter().flat_map(|kind| kind.attributes).map(|attribute| attribute.name)
}

/// The type of an attribute's value; `None` where the element does not know the attribute.
pub(super) fn kind_of(element_name: &str, attribute: &str) -> Option<ValueKind> {
    Some(element(element_name)?.attributes.iter().find(|kind| kind.name == attribute)?.kind)
}

/// The built-in default of an attribute.
pub(super) fn default_of(element_name: &str, attribute: &str) -> Option<&'static str> {
    element(element_name)?.attributes.iter().find(|kind| kind.name == attribute)?.default
}

/// The word that was probably meant.
pub(super) fn meant(written: &str, words: impl IntoIterator<Item = &'static str>) -> Option<&'static str> {
    /// Below this, words have little in common: `mail` and `email` have 0.93, `host` and `ip` none.
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

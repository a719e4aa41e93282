//! The vocabulary of `config.xml`: every element, where it stands, its attributes and their built-in
//! defaults. One table: reading, "did you mean" and the test of the shipped file use it. Not the
//! meaning of any value.

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
    /// What holds where it is not written; `None` where nothing does, or where it depends.
    pub default: Option<&'static str>,
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

const fn plain(name: &'static str) -> AttributeKind {
    AttributeKind { name, default: None }
}

const fn with(name: &'static str, default: &'static str) -> AttributeKind {
    AttributeKind { name, default: Some(default) }
}

/// The root.
pub(super) const ROOT: &str = "config";

/// Every element.
pub(super) const ELEMENTS: [ElementKind; 9] = [
    ElementKind { name: ROOT, parents: &[], attributes: &[] },
    ElementKind {
        name: "collector",
        parents: &[ROOT],
        attributes: &[
            with("interval", "60s"),
            with("concurrency", "128"),
            with("timeout", "30s"),
            with("retries", "1"),
            with("agent", "keep"),
            plain("redact"),
        ],
    },
    ElementKind {
        name: "database",
        parents: &[ROOT],
        attributes: &[with("url", "sqlite:fleetsweep.db"), with("retention", "90d"), plain("tls")],
    },
    ElementKind {
        name: "smtp",
        parents: &[ROOT],
        attributes: &[
            with("host", "127.0.0.1"),
            plain("port"),
            with("security", "none"),
            with("from", "fleetsweep@localhost"),
            plain("username"),
            plain("password"),
        ],
    },
    ElementKind {
        name: "ssh",
        parents: &[ROOT],
        attributes: &[with("known-hosts", "~/.ssh/known_hosts"), with("host-keys", "accept-new")],
    },
    ElementKind { name: "alerts", parents: &[ROOT], attributes: &[with("repeat", "every"), with("recovery", "no")] },
    ElementKind {
        name: "client",
        parents: &[ROOT, "group"],
        attributes: &[
            plain("ip"),
            plain("name"),
            with("port", "22"),
            plain("username"),
            plain("password"),
            plain("key"),
            plain("passphrase"),
            plain("mail"),
            plain("agent"),
            plain("events"),
            plain("redact"),
        ],
    },
    ElementKind {
        name: "group",
        parents: &[ROOT, "group"],
        attributes: &[
            plain("port"),
            plain("username"),
            plain("password"),
            plain("key"),
            plain("passphrase"),
            plain("mail"),
            plain("agent"),
            plain("events"),
            plain("redact"),
        ],
    },
    ElementKind {
        name: "alert",
        parents: &["client", "group"],
        attributes: &[plain("type"), plain("limit"), with("for", "1"), plain("clear"), plain("repeat")],
    },
];

/// The element of this name.
pub(super) fn element(name: &str) -> Option<&'static ElementKind> {
    ELEMENTS.iter().find(|kind| kind.name == name)
}

/// The built-in default of an attribute.
pub(super) fn default_of(element_name: &str, attribute: &str) -> Option<&'static str> {
    element(element_name)?.attributes.iter().find(|kind| kind.name == attribute)?.default
}

/// The word that was probably meant.
pub(super) fn meant<'a>(written: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
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

/// `a, b or c`, each in quotes.
pub(super) fn listed<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
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

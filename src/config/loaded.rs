//! A configuration together with how it was written: warnings, defaults, ranges, sources of secrets. `check` prints
//! this; sweeps only need the configuration.

use std::ops::Range;

use super::{
    diagnostic::Diagnostic,
    inspect::Sources,
    model::{Client, Config},
    safe_text::SafeText,
};
use crate::ssh_config::Remark;

/// A configuration and how it was written.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The valid configuration.
    pub config: Config,
    /// The warnings, in the order of the file.
    pub warnings: Vec<Diagnostic>,
    /// The values that concern the whole fleet, both written and default.
    pub settings: Vec<Setting>,
    /// The `<client>` elements that `config.clients` come from, in the same order.
    pub entered: Vec<ClientElement>,
    /// What there is to say about the files of OpenSSH, whatever the client is.
    pub openssh_remarks: Vec<Remark>,
    /// How many secrets come from which kind of source.
    pub secrets: Sources,
}

impl Loaded {
    /// Removes the clients for which `keep` returns false.
    pub fn retain_clients(&mut self, keep: impl Fn(&Client) -> bool) {
        let mut next = 0;
        for entered in &mut self.entered {
            let kept = self.config.clients.get(entered.clients.clone()).unwrap_or_default();
            let count = kept.iter().filter(|client| keep(client)).count();
            entered.clients = next..next + count;
            next += count;
        }
        self.entered.retain(|entered| !entered.clients.is_empty());
        let before = self.config.clients.len();
        self.config.clients.retain(keep);
        self.config.whole &= self.config.clients.len() == before;
    }
}

/// One value that concerns the whole fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The element it belongs to.
    pub element: &'static str,
    /// Its attribute.
    pub attribute: &'static str,
    /// The value as text, hidden if it may contain a secret.
    pub value: SafeText,
    /// Whether the file sets it; otherwise it is the default.
    pub written: bool,
}

/// One `<client>` element.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientElement {
    /// Its `ip` as written, with ranges.
    pub ip: String,
    /// Its `name` as written.
    pub name: Option<String>,
    /// The indices in `config.clients` of the clients that it expands to.
    pub clients: Range<usize>,
}

//! A configuration together with what is known of how it was written: warnings, defaults, ranges, secrets. For `check`,
//! which prints it; sweeps need the configuration alone.

use std::ops::Range;

use super::{
    diagnostic::Diagnostic,
    inspect::Sources,
    model::{Client, Config},
    safe_text::SafeText,
};

/// A configuration as it was read from a file.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The valid configuration.
    pub config: Config,
    /// What should be mended, and does not stop anything. In the order of the file.
    pub warnings: Vec<Diagnostic>,
    /// The values that concern the whole fleet, written or built in.
    pub settings: Vec<Setting>,
    /// The `<client>` elements that made `config.clients`, in the same order.
    pub entered: Vec<ClientElement>,
    /// Where its secrets come from.
    pub secrets: Sources,
}

impl Loaded {
    /// Leaves out the clients that `keep` does not want.
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
    /// As it is written, or would be, as far as that may be shown.
    pub value: SafeText,
    /// Whether the file says so; otherwise it is the built-in default.
    pub written: bool,
}

/// One `<client>` element.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientElement {
    /// Its `ip` as written, ranges and all.
    pub ip: String,
    /// Its `name` as written.
    pub name: Option<String>,
    /// Which clients of the configuration it made.
    pub clients: Range<usize>,
}

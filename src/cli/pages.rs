//! The pages of `docs/` in the program, so that `fleetsweep help TOPIC` works without a network. How they are printed is
//! elsewhere.

/// A page.
#[derive(Debug)]
pub(super) struct Page {
    /// Its name: that of its file, without the ending.
    pub name: &'static str,
    /// Its text, in Markdown.
    pub text: &'static str,
}

impl Page {
    /// Its title: the first heading.
    pub(super) fn title(&self) -> &'static str {
        self.text.lines().next().unwrap_or_default().trim_start_matches(['#', ' '])
    }
}

/// The table of the pages, in the order of the list that `help` prints.
macro_rules! pages {
    ($($name:literal),* $(,)?) => {
        /// All pages.
        pub(super) const PAGES: [Page; [$($name),*].len()] =
            [$(Page { name: $name, text: include_str!(concat!("../../docs/", $name, ".md")) }),*];
    };
}

pages![
    "getting-started",
    "installing",
    "configuration",
    "secrets",
    "ssh",
    "windows",
    "dashboard",
    "alerts-and-mail",
    "security-events",
    "troubleshooting",
    "scripts",
    "databases",
    "prometheus",
    "operations",
    "agents",
    "least-privilege",
    "how-it-works",
    "faults",
    "dependencies",
];

/// The page of this name, or the only one whose name has a part that begins with it: `mail` is `alerts-and-mail`.
pub(super) fn find(topic: &str) -> Option<&'static Page> {
    let topic = topic.to_lowercase();
    if topic.is_empty() {
        return None;
    }
    let exact = PAGES.iter().find(|page| page.name == topic);
    let begins =
        |page: &&Page| page.name.starts_with(&topic) || page.name.split('-').any(|part| part.starts_with(&topic));
    let mut begun = PAGES.iter().filter(begins);
    exact.or_else(|| begun.next().filter(|_| begun.next().is_none()))
}

//! The bookmarks of several logs in one text: a line for the security log, and a line for each further log with its
//! channel, a tab and its own bookmark. Pure.

/// The bookmark of a log that does not exist on this machine. It was reported already.
pub(crate) const ABSENT: &str = "absent";
/// The line of a security log without a bookmark.
const NONE: &str = "-";

/// The bookmarks of the logs of a machine.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Places {
    pub(crate) security: Option<String>,
    /// Channel and bookmark.
    pub(crate) further: Vec<(String, String)>,
}

impl Places {
    pub(crate) fn parse(text: &str) -> Self {
        let mut lines = text.split('\n');
        let security = lines.next().filter(|line| *line != NONE).map(str::to_owned);
        let further = lines.filter_map(|line| line.split_once('\t'));
        Self { security, further: further.map(|(channel, place)| (channel.to_owned(), place.to_owned())).collect() }
    }

    /// The bookmark of a further log.
    pub(crate) fn of(&self, channel: &str) -> Option<&str> {
        self.further.iter().find(|(known, _)| known == channel).map(|(_, place)| place.as_str())
    }

    /// The text; `None` if there is no bookmark at all.
    pub(crate) fn to_text(&self) -> Option<String> {
        if self.further.is_empty() {
            return self.security.clone();
        }
        let further = self.further.iter().map(|(channel, place)| format!("{channel}\t{place}"));
        let lines = [self.security.clone().unwrap_or_else(|| NONE.to_owned())].into_iter().chain(further);
        Some(lines.collect::<Vec<_>>().join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_places_of_several_logs_are_one_text() {
        let further = vec![("System".to_owned(), "record 1 2".to_owned()), ("x/y z".to_owned(), ABSENT.to_owned())];
        for (security, further, expected) in [
            (None, vec![], None),
            (Some("record 1 2"), vec![], Some("record 1 2")),
            (Some("journal 1 s=1;i=2"), further.clone(), Some("journal 1 s=1;i=2\nSystem\trecord 1 2\nx/y z\tabsent")),
            (None, further, Some("-\nSystem\trecord 1 2\nx/y z\tabsent")),
        ] {
            let places = Places { security: security.map(str::to_owned), further };
            assert_eq!(places.to_text().as_deref(), expected);
            if let Some(text) = expected {
                assert_eq!(Places::parse(text), places);
            }
        }
        assert_eq!(Places::parse("record 1 2\nnonsense\n").further, []);
    }
}

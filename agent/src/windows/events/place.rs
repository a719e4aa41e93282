//! The end of a report in the log, and the gaps that it left: the text of a bookmark, and the names of records in a
//! warning. Pure. `walk` creates and fills the gaps.

use std::{fmt, str::Split};

/// The most gaps of a bookmark, because the length of a request is limited.
pub(super) const MAX_GAPS: usize = 8;

/// A record. Its id alone is not unique: a cleared log counts on, but one whose file was removed starts at 1 again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) record_id: u64,
    pub(super) at_ms: i64,
}

/// The lower bound of the wanted records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    /// Records after this one.
    After(Mark),
    /// Records that are not older than this.
    Since(i64),
}

/// Records that were not reported yet: those with smaller ids than this one, down to the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) below: u64,
    pub(super) down_to: Bound,
    /// Whether reading it failed before its first record. It is not tried a third time, because it would otherwise
    /// prevent that older records are read.
    pub(super) tried: bool,
}

/// The reported part of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The newest record.
    pub(super) newest: Mark,
    /// The gaps below it, newest first.
    pub(super) gaps: Vec<Gap>,
}

impl Place {
    /// Parses a bookmark. Each place has only one valid spelling.
    pub(super) fn parse(bookmark: &str) -> Option<Self> {
        let mut words = bookmark.split(' ');
        if words.next()? != "record" {
            return None;
        }
        let newest = mark(&mut words)?;
        let mut gaps: Vec<Gap> = Vec::new();
        while let Some(word) = words.next() {
            match word {
                "gap" if gaps.len() < MAX_GAPS => gaps.push(gap(&mut words)?),
                "tried" => gaps.last_mut()?.tried = true,
                _ => return None,
            }
        }
        let place = Self { newest, gaps };
        // This comparison rejects all other spellings: signs, leading zeros, repeated words.
        (place.to_string() == bookmark).then_some(place)
    }
}

fn mark(words: &mut Split<'_, char>) -> Option<Mark> {
    Some(Mark { record_id: words.next()?.parse().ok()?, at_ms: words.next()?.parse().ok()? })
}

fn gap(words: &mut Split<'_, char>) -> Option<Gap> {
    let below = words.next()?.parse().ok()?;
    let down_to = match words.next()? {
        "after" => Bound::After(mark(words)?),
        "since" => Bound::Since(words.next()?.parse().ok()?),
        _ => return None,
    };
    Some(Gap { below, down_to, tried: false })
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record {}", self.newest)?;
        self.gaps.iter().try_for_each(|gap| write!(f, " {gap}"))
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.record_id, self.at_ms)
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.down_to {
            Bound::After(last) => write!(f, "gap {} after {last}", self.below)?,
            Bound::Since(oldest_ms) => write!(f, "gap {} since {oldest_ms}", self.below)?,
        }
        f.write_str(if self.tried { " tried" } else { "" })
    }
}

impl Gap {
    /// The highest possible number of records in it, if it is known.
    pub(super) fn count(&self) -> Option<u64> {
        match self.down_to {
            Bound::After(last) => Some(self.below.saturating_sub(1).saturating_sub(last.record_id)),
            Bound::Since(_) => None,
        }
    }

    /// Its records, for a warning.
    pub(super) fn records(&self) -> String {
        let newest = self.below.saturating_sub(1);
        match (self.down_to, self.count()) {
            (Bound::After(last), Some(count)) => {
                format!("records {} to {newest} ({count})", last.record_id.saturating_add(1))
            }
            _ => format!("records up to {newest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use fleetsweep_agent::request::Bookmark;
    use proptest::prelude::*;

    use super::*;

    fn some_mark() -> impl Strategy<Value = Mark> {
        (any::<u64>(), any::<i64>()).prop_map(|(record_id, at_ms)| Mark { record_id, at_ms })
    }

    fn some_gap() -> impl Strategy<Value = Gap> {
        let down_to = prop_oneof![some_mark().prop_map(Bound::After), any::<i64>().prop_map(Bound::Since)];
        (any::<u64>(), down_to, any::<bool>()).prop_map(|(below, down_to, tried)| Gap { below, down_to, tried })
    }

    proptest! {
        #[test]
        fn any_place_comes_back_from_its_bookmark(
            newest in some_mark(),
            gaps in prop::collection::vec(some_gap(), 0..=MAX_GAPS),
        ) {
            let place = Place { newest, gaps };
            prop_assert_eq!(Place::parse(&place.to_string()), Some(place));
        }

        #[test]
        fn any_text_is_a_place_or_none(text in any::<String>(), words in prop::collection::vec(
            prop::sample::select(vec!["record", "gap", "after", "since", "tried", "7", "-7", "+7", "007", "", "x"]), 0..20,
        )) {
            for text in [text, words.join(" "), format!("record 1 2 {}", words.join(" "))] {
                if let Some(place) = Place::parse(&text) {
                    prop_assert_eq!(place.to_string(), text);
                }
            }
        }
    }

    #[test]
    fn bookmarks_are_plain_words_of_one_spelling() {
        let newest = Mark { record_id: 17, at_ms: -3 };
        let after = Gap { below: 9, down_to: Bound::After(Mark { record_id: 5, at_ms: -8 }), tried: false };
        let since = Gap { below: 4, down_to: Bound::Since(-90), tried: true };
        for (text, gaps) in [
            ("record 17 -3", vec![]),
            ("record 17 -3 gap 9 after 5 -8", vec![after]),
            ("record 17 -3 gap 9 after 5 -8 gap 4 since -90 tried", vec![after, since]),
        ] {
            let place = Place { newest, gaps };
            assert_eq!(place.to_string(), text);
            assert_eq!(Place::parse(text), Some(place), "{text}");
        }
        let whole = ["", "record", "record 1", "record x 1", "record 1 x", "record 1 2 3", "record 1 2 ", "time 17"];
        let too_many = " gap 9 since 5".repeat(MAX_GAPS + 1);
        let gaps = [
            " gap",
            " gap 9",
            " gap 9 after",
            " gap 9 after 5",
            " gap 9 after x 5",
            " gap 9 since",
            " gap 9 since 5 6",
            " gap 9 since +5",
            " gap 09 since 5",
            " gap 9 until 5",
            " tried",
            " gap 9 since 5 tried tried",
            &too_many,
        ];
        for text in whole.map(str::to_owned).into_iter().chain(gaps.map(|gaps| format!("record 1 2{gaps}"))) {
            assert_eq!(Place::parse(&text), None, "{text}");
        }
    }

    #[test]
    fn the_longest_bookmark_is_still_one() {
        let newest = Mark { record_id: u64::MAX, at_ms: i64::MIN };
        let gap = Gap { below: u64::MAX, down_to: Bound::After(newest), tried: true };
        let text = Place { newest, gaps: vec![gap; MAX_GAPS] }.to_string();
        assert!(Bookmark::new(text.clone()).is_ok(), "{}", text.len());
    }
}

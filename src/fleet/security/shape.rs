//! The shape of a message: its words, with gaps for numbers, addresses and names that strangers chose. Messages of the
//! same shape belong to one group.

use core::net::{IpAddr, SocketAddr};

/// The text for parts in which messages of one shape differ.
const VARIES: &str = "…";

/// After these words, sshd writes the name of an account that does not exist, which a stranger typed.
const STRANGERS: [[&str; 2]; 3] = [["invalid", "user"], ["Invalid", "user"], ["illegal", "user"]];

/// Hexadecimal strings of at least this length are numbers even if they start with a letter.
const HEX_DIGITS: usize = 4;

/// A message in parts: literals with a value between each two of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape<'a> {
    literals: Vec<&'a str>,
    /// `None` if it varies.
    values: Vec<Option<&'a str>>,
}

impl<'a> Shape<'a> {
    pub(super) fn of(message: &'a str) -> Self {
        let mut shape = Self { literals: Vec::new(), values: Vec::new() };
        let mut literal_from = 0;
        for (from, to) in variables(message) {
            shape.literals.push(message.get(literal_from..from).unwrap_or_default());
            shape.values.push(message.get(from..to));
            literal_from = to;
        }
        shape.literals.push(message.get(literal_from..).unwrap_or_default());
        shape
    }

    /// The literals, which all messages of this shape have in common.
    pub(super) fn literals(&self) -> &[&'a str] {
        &self.literals
    }

    /// Adds another message of the same shape: values that differ are removed.
    pub(super) fn meet(&mut self, other: &Self) {
        for (value, other) in self.values.iter_mut().zip(&other.values) {
            if *value != *other {
                *value = None;
            }
        }
    }

    /// The message, with `…` for each value that varies.
    pub(super) fn text(&self) -> String {
        let mut values = self.values.iter();
        let mut text = String::new();
        for literal in &self.literals {
            text.push_str(literal);
            if let Some(value) = values.next() {
                text.push_str(value.unwrap_or(VARIES));
            }
        }
        text
    }
}

/// The ranges of the values in a message, from left to right.
fn variables(message: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut before = ["", ""];
    let mut at = 0;
    for word in message.split(|c: char| c.is_whitespace() || "()[]{}<>,;='\"".contains(c)) {
        let (from, to) = (at, at + word.len());
        // The characters between words have one byte each, except for non-ASCII blanks.
        at = to + message.get(to..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
        if word.is_empty() {
            continue;
        }
        let whole = word.trim_end_matches(['.', ':']);
        if STRANGERS.contains(&before) || is_address(whole) {
            found.push((from, from + if whole.is_empty() { word.len() } else { whole.len() }));
        } else {
            found.extend(numbers(word).map(|(start, end)| (from + start, from + end)));
        }
        before = [before[1], word];
    }
    found
}

fn is_address(word: &str) -> bool {
    // A `::` in the names of some programs is not an address, and neither is a time.
    let digits = word.bytes().any(|byte| byte.is_ascii_hexdigit());
    let without_zone = word.split('%').next().unwrap_or_default();
    digits && (without_zone.parse::<IpAddr>().is_ok() || word.parse::<SocketAddr>().is_ok())
}

/// The numbers in a word: alphanumeric strings that start with a digit, and long hexadecimal strings. `deploy1` and
/// `ssh2` are names.
fn numbers(word: &str) -> impl Iterator<Item = (usize, usize)> {
    let mut at = 0;
    word.split(|c: char| !c.is_alphanumeric()).filter_map(move |piece| {
        let from = at + word.get(at..).and_then(|rest| rest.find(piece)).unwrap_or_default();
        at = from + piece.len();
        let first = piece.bytes().next()?;
        let hexadecimal = piece.len() >= HEX_DIGITS
            && piece.bytes().all(|byte| byte.is_ascii_hexdigit())
            && piece.bytes().any(|byte| byte.is_ascii_digit());
        (first.is_ascii_digit() || hexadecimal).then_some((from, at))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The message without all values.
    fn gaps(message: &str) -> String {
        Shape::of(message).literals().join("#")
    }

    #[test]
    fn numbers_addresses_and_strangers_are_values() {
        for (message, expected) in [
            ("", ""),
            ("no value", "no value"),
            ("Failed password for root from 10.0.0.7 port 40022 ssh2", "Failed password for root from # port # ssh2"),
            (
                "Failed password for invalid user a1-b from ::1 port 4",
                "Failed password for invalid user # from # port #",
            ),
            ("Invalid user from 10.0.0.7", "Invalid user # #"),
            ("Connection from [fe80::1%eth0]:22 (10.0.0.7:99)", "Connection from [#]:# (#)"),
            ("session-1234.scope: Deactivated.", "session-#.scope: Deactivated."),
            ("deploy1 on pts/0, uid=1000", "deploy1 on pts/#, uid=#"),
            ("at 03:10:00. Key 0x3e7 {54849625-5478-4994-a5ba-3e3b0328c30d}", "at #:#:#. Key # {#-#-#-#-#}"),
            ("S-1-5-21-7 and face:fade", "S-#-#-#-# and face:fade"),
            ("Speicher\u{3000}größer 5", "Speicher\u{3000}größer #"),
            ("std::io ::", "std::io ::"),
        ] {
            assert_eq!(gaps(message), expected);
        }
    }

    #[test]
    fn a_value_is_shown_as_long_as_it_is_the_same() {
        let mut shape = Shape::of("Failed password for root from 10.0.0.7 port 1");
        for message in
            ["Failed password for root from 10.0.0.7 port 2", "Failed password for root from 10.0.0.7 port 1"]
        {
            shape.meet(&Shape::of(message));
        }
        assert_eq!(shape.text(), "Failed password for root from 10.0.0.7 port …");
    }

    proptest! {
        #[test]
        fn nothing_of_a_message_is_lost(message in "\\PC{0,60}|([a-z0-9:.%]{0,8}[ =(\\[]){0,9}") {
            let mut shape = Shape::of(&message);
            prop_assert_eq!(shape.text(), message.clone());
            let same = shape.clone();
            shape.meet(&same);
            prop_assert_eq!(shape.text(), message);
        }
    }
}

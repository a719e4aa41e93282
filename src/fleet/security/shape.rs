//! The shape of a message: its words, with a gap wherever a number, an address or a name that a stranger
//! chose stands. Messages of one shape are one thing that happened again. Not what it means.

use std::net::{IpAddr, SocketAddr};

/// What is shown where the messages of one shape differ.
const VARIES: &str = "…";

/// After these, sshd names an account that does not exist: whatever the stranger typed.
const STRANGERS: [[&str; 2]; 3] = [["invalid", "user"], ["Invalid", "user"], ["illegal", "user"]];

/// Longer pieces of hexadecimal digits are numbers even where they begin with a letter.
const HEX_DIGITS: usize = 4;

/// A message in parts: literals, and between each two of them a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape<'a> {
    literals: Vec<&'a str>,
    /// `None` where it was seen to vary.
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

    /// What all messages of this shape have in common.
    pub(super) fn literals(&self) -> &[&'a str] {
        &self.literals
    }

    /// Takes in another message of the same shape: values that differ are forgotten.
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

/// Where in a message its values stand, from left to right.
fn variables(message: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut before = ["", ""];
    let mut at = 0;
    for word in message.split(|c: char| c.is_whitespace() || "()[]{}<>,;='\"".contains(c)) {
        let (from, to) = (at, at + word.len());
        // Each of the characters between words is one byte, but for blanks of other alphabets.
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
    // Neither a mere `::` of some program's names nor a time is one.
    let digits = word.bytes().any(|byte| byte.is_ascii_hexdigit());
    let without_zone = word.split('%').next().unwrap_or_default();
    digits && (without_zone.parse::<IpAddr>().is_ok() || word.parse::<SocketAddr>().is_ok())
}

/// The numbers in a word: pieces of letters and digits that begin with a digit, and longer ones of hexadecimal
/// digits. `deploy1` and `ssh2` are names.
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

    /// The message with every value gone.
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

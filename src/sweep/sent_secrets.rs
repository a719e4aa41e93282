//! Hides the secrets that were sent to a server in what the server says. A hostile one could show a password in its
//! banner, which becomes part of errors, mails and the database. Pure.
//!
//! A text is searched before it is cut, so that no part of a secret remains at its end.

use std::sync::{Arc, Mutex, PoisonError};

use secrecy::{ExposeSecret as _, SecretString};

use crate::fleet::reading::clean;

/// What stands for a secret.
const HIDDEN: &str = "***";
/// What stands for a text that contains a secret with other characters in between.
const WITHHELD: &str = "(a text that contains the password)";
/// A shorter secret is in many texts by accident. It is only hidden as a word.
const LEAST_CHARS: usize = 4;
/// How much of a text is used, characters.
const TEXT_CHARS: usize = 4096;

/// The secrets that were sent in one session.
#[derive(Debug, Default, Clone)]
pub(super) struct SentSecrets(Arc<Mutex<Vec<SecretString>>>);

impl SentSecrets {
    /// This secret is sent next.
    pub(super) fn note(&self, secret: &SecretString) {
        let mut sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !sent.iter().any(|known| known.expose_secret() == secret.expose_secret()) {
            sent.push(secret.clone());
        }
    }

    /// A text of the server without them, and without control characters.
    pub(super) fn hide_in(&self, text: &str) -> String {
        let sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sent.iter().fold(clean(text, TEXT_CHARS), |text, secret| hide(&text, secret.expose_secret()))
    }
}

/// A cleaned text without a secret: as it is, in other letters of upper or lower case, or with other characters in
/// between.
fn hide(text: &str, secret: &str) -> String {
    let folded = |text: &str| -> Vec<char> { text.chars().flat_map(char::to_lowercase).collect() };
    // The text was cleaned, so the secret is as well.
    let secret = folded(&clean(secret, TEXT_CHARS));
    if secret.is_empty() {
        return text.to_owned();
    }
    if secret.len() < LEAST_CHARS {
        let words = text.split(' ').map(|word| if folded(word) == secret { HIDDEN } else { word });
        return words.collect::<Vec<_>>().join(" ");
    }
    let is_secret = |characters: &[char]| {
        characters.iter().flat_map(|character| character.to_lowercase()).eq(secret.iter().copied())
    };
    let characters: Vec<char> = text.chars().collect();
    let (mut shown, mut rest) = (String::new(), characters.as_slice());
    while let Some((first, others)) = rest.split_first() {
        match rest.split_at_checked(secret.len()) {
            Some((here, after)) if is_secret(here) => {
                shown.push_str(HIDDEN);
                rest = after;
            }
            _ => {
                shown.push(*first);
                rest = others;
            }
        }
    }
    let letters = |characters: &[char]| -> String { characters.iter().filter(|one| one.is_alphanumeric()).collect() };
    let plain = letters(&secret);
    if plain.chars().count() >= LEAST_CHARS && letters(&folded(&shown)).contains(&plain) {
        return WITHHELD.to_owned();
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_the_server_shows_is_hidden_in_whatever_form() {
        for (text, secret, expected) in [
            ("you sent Hunter22", "Hunter22", "you sent ***"),
            ("Hunter22Hunter22 and hunter22", "Hunter22", "****** and ***"),
            ("Hunt\u{1b}er\u{200b}22", "Hunter22", "***"),
            ("nothing of it", "Hunter22", "nothing of it"),
            ("H u n t e r 2 2", "Hunter22", WITHHELD),
            ("H.U.N.T.E.R 22", "Hunter22", WITHHELD),
            ("a pass word", "pass\t word", "a ***"),
            ("p\u{e4}\u{df}word! is it", "P\u{c4}\u{df}WORD!", "*** is it"),
            ("it is p, please: p", "p", "it is p, please: ***"),
            ("---- is it", "----", "*** is it"),
            ("any", "", "any"),
        ] {
            let sent = SentSecrets::default();
            sent.note(&secret.into());
            assert_eq!(sent.hide_in(text), expected, "{text} {secret}");
        }
    }

    #[test]
    fn every_secret_is_hidden_and_a_text_is_searched_to_its_bound() {
        let sent = SentSecrets::default();
        assert_eq!(sent.hide_in("first-secret"), "first-secret");
        for secret in ["first-secret", "second-secret", "first-secret"] {
            sent.note(&secret.into());
        }
        assert_eq!(sent.hide_in("first-secret, second-secret"), "***, ***");
        let flood = "first-secre".repeat(100_000);
        assert_eq!(sent.hide_in(&flood).chars().count(), TEXT_CHARS);
    }
}

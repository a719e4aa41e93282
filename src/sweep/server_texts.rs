//! The texts that a server shows during a login: banners and the instructions of keyboard-interactive questions. Those that
//! follow a credential say why it was not enough. Pure. Secrets in them are hidden by [`super::sent_secrets`].

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use crate::fleet::reading::clean;

/// How many texts are kept, the newest.
const MOST_TEXTS: usize = 4;
/// How much of each is kept, characters.
const TEXT_CHARS: usize = 1000;

/// The texts of one session. Shared with the session's task.
#[derive(Debug, Default, Clone)]
pub(super) struct ServerTexts(Arc<Mutex<VecDeque<String>>>);

impl ServerTexts {
    /// Adds a text.
    pub(super) fn note(&self, text: &str) {
        let text = clean(text, TEXT_CHARS);
        let mut texts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if text.is_empty() || texts.contains(&text) {
            return;
        }
        if texts.len() == MOST_TEXTS {
            texts.pop_front();
        }
        texts.push_back(text);
    }

    /// Forgets what was shown so far. Before the first credential, that is a greeting for everybody.
    pub(super) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// All of them as one text, in order, after which they are forgotten. `None` if nothing was shown.
    pub(super) fn take(&self) -> Option<String> {
        let texts: Vec<String> = self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect();
        (!texts.is_empty()).then(|| texts.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_texts_are_kept_cleaned_and_bounded() {
        let texts = ServerTexts::default();
        assert_eq!(texts.take(), None);
        for text in ["Welcome", " \r\n", "\x1b[31mYour account\r\nhas expired\x07", "\x1b[31mYour account has expired"]
        {
            texts.note(text);
        }
        assert_eq!(texts.take().unwrap(), "Welcome [31mYour account has expired");
        assert_eq!(texts.take(), None);
        texts.note("Welcome");
        texts.forget();
        assert_eq!(texts.take(), None);
        for number in 0..10_000 {
            texts.note(&format!("{number} {}", "x".repeat(5000)));
        }
        let all = texts.take().unwrap();
        assert!(all.starts_with("9996 ") && all.len() < 5000, "{all}");
    }
}

//! What the messages of a group have in common: their words, with gaps for those that differ.

/// The text for words in which messages differ.
const VARIES: &str = "…";

/// How many words are compared. A mail shows fewer.
const WORDS: usize = 48;

/// The words of messages; `None` where they differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Common<'a>(Vec<Option<&'a str>>);

impl<'a> Common<'a> {
    pub(super) fn of(message: &'a str) -> Self {
        let mut words: Vec<Option<&str>> = message.splitn(WORDS + 1, ' ').map(Some).collect();
        if words.len() > WORDS {
            words.truncate(WORDS);
            words.push(None);
        }
        Self(words)
    }

    /// Removes the words in which another message differs.
    pub(super) fn meet(&mut self, message: &'a str) {
        let Self(other) = Self::of(message);
        if self.0.len() == other.len() {
            for (word, other) in self.0.iter_mut().zip(&other) {
                if *word != *other {
                    *word = None;
                }
            }
            return;
        }
        // Of different lengths: what is the same at the beginning and at the end.
        let fits = |pair: &(&Option<&str>, &Option<&str>)| pair.0.is_some() && pair.0 == pair.1;
        let front = self.0.iter().zip(&other).take_while(fits).count();
        let most = self.0.len().min(other.len()) - front;
        let back = self.0.iter().rev().zip(other.iter().rev()).take(most).take_while(fits).count();
        let end = self.0.len() - back;
        self.0.splice(front..end, [None]);
    }

    /// The message, with `…` for the words that differ.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let mut gap = false;
        for word in &self.0 {
            if word.is_none() && gap {
                continue;
            }
            gap = word.is_none();
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(word.unwrap_or(VARIES));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_differ_become_one_gap() {
        for (messages, expected) in [
            (&["a b c"][..], "a b c"),
            (&["a b c", "a x c"], "a … c"),
            (&["of eve from 7: wrong", "of bob from 7: wrong"], "of … from 7: wrong"),
            (&["of two words from 7: wrong", "of bob from 7: wrong", "of x from 7: wrong"], "of … from 7: wrong"),
            (&["a", "a a"], "a …"),
            (&["a b", "c d"], "…"),
            (&["", "x y"], "…"),
            (&["a b c d", "a d", "a b c d"], "a … d"),
        ] {
            let mut common = Common::of(messages[0]);
            for message in &messages[1..] {
                common.meet(message);
            }
            assert_eq!(common.text(), expected, "{messages:?}");
        }
    }

    #[test]
    fn a_long_message_is_compared_up_to_a_bound() {
        let long = "x ".repeat(5_000);
        let mut common = Common::of(&long);
        common.meet(&long);
        assert_eq!(common.0.len(), WORDS + 1);
        assert!(common.text().ends_with("x …"));
    }
}

//! Asks the terminal for its background colour, and finds the answer in the key input. [`super::theme`] uses it.
//!
//! The answer arrives among the keys at any time. Waiting for it separately would swallow typed keys and treat a late
//! answer as typing. Therefore it is extracted from the keys here.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::theme::Background;

#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;

/// The query (xterm control sequences, operating system command 11).
pub(super) const QUESTION: &[u8] = b"\x1b]11;?\x1b\\";

/// The start of an answer after its introducer, and its maximum length.
const BEGINNING: &str = "11;rgb:";
const MOST_CHARS: usize = 32;

/// Whether the terminal can be queried. Some terminals print the query, and some multiplexers do not forward it.
pub(super) fn may_be_asked(variable: impl Fn(&str) -> Option<String>) -> bool {
    let inside_gnu_screen = variable("STY").is_some();
    !inside_gnu_screen && !matches!(variable("TERM").as_deref(), None | Some("" | "dumb" | "linux" | "eterm-color"))
}

/// Listens to the keys.
#[derive(Debug, Default)]
pub(super) struct Listener {
    /// The keys that may be the start of an answer.
    held: Vec<KeyEvent>,
    /// The same as text, without the introducer.
    text: String,
}

/// The result of a key.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Heard {
    /// These keys were pressed, in this order.
    Keys(Vec<KeyEvent>),
    /// The key may belong to an answer. The next keys decide.
    Perhaps,
    /// The answer is complete.
    Answer(Background),
}

impl Listener {
    /// Takes one key.
    pub(super) fn take(&mut self, key: KeyEvent) -> Heard {
        if self.held.is_empty() {
            if !is_with(key, KeyModifiers::ALT, ']') {
                return Heard::Keys(vec![key]);
            }
            self.held.push(key);
            return Heard::Perhaps;
        }
        // The terminator is the string's own, or a bell.
        if is_with(key, KeyModifiers::ALT, '\\') || is_with(key, KeyModifiers::CONTROL, 'g') {
            if let Some(background) = background(&self.text) {
                *self = Self::default();
                return Heard::Answer(background);
            }
        } else if let KeyCode::Char(character) = key.code
            && KeyModifiers::SHIFT.contains(key.modifiers)
        {
            self.text.push(character);
            if could_be(&self.text) {
                self.held.push(key);
                return Heard::Perhaps;
            }
        }
        let mut keys = std::mem::take(self).held;
        match self.take(key) {
            Heard::Keys(more) => keys.extend(more),
            // The key may be the start of another answer.
            Heard::Perhaps | Heard::Answer(_) => {}
        }
        Heard::Keys(keys)
    }
}

fn is_with(key: KeyEvent, modifiers: KeyModifiers, character: char) -> bool {
    key.modifiers == modifiers && key.code == KeyCode::Char(character)
}

/// Whether an answer can begin with this text.
fn could_be(text: &str) -> bool {
    match text.strip_prefix(BEGINNING) {
        Some(colour) => {
            text.len() <= MOST_CHARS
                && colour.chars().all(|character| character.is_ascii_hexdigit() || character == '/')
        }
        None => BEGINNING.starts_with(text),
    }
}

/// Parses the background of a complete answer: `11;rgb:` and three shares of one to four hexadecimal digits.
fn background(answer: &str) -> Option<Background> {
    let mut shares = answer.strip_prefix(BEGINNING)?.split('/').map(|digits| {
        let most = 16_u32.checked_pow(u32::try_from(digits.len()).ok()?)?.checked_sub(1)?;
        let share = u32::from_str_radix(digits, 16).ok()?;
        (1..=4).contains(&digits.len()).then(|| f64::from(share) / f64::from(most))
    });
    let (red, green, blue) = (shares.next()??, shares.next()??, shares.next()??);
    if shares.next().is_some() {
        return None;
    }
    // The perceived brightness with the weights of ITU-R BT.601.
    let brightness = 0.299 * red + 0.587 * green + 0.114 * blue;
    Some(if brightness > 0.5 { Background::Light } else { Background::Dark })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn alt(character: char) -> KeyEvent {
        KeyEvent::new(KeyCode::Char(character), KeyModifiers::ALT)
    }

    fn keys(text: &str) -> Vec<KeyEvent> {
        let shift = |character: char| if character.is_uppercase() { KeyModifiers::SHIFT } else { KeyModifiers::NONE };
        text.chars().map(|character| KeyEvent::new(KeyCode::Char(character), shift(character))).collect()
    }

    fn bell() -> KeyEvent {
        KeyEvent::new(KeyCode::Char('g'), KeyModifiers::CONTROL)
    }

    /// The result for all these keys: the pressed keys, and the backgrounds.
    fn heard(all: &[KeyEvent]) -> (Vec<KeyEvent>, Vec<Background>) {
        let mut listener = Listener::default();
        let (mut pressed, mut backgrounds) = (Vec::new(), Vec::new());
        for key in all {
            match listener.take(*key) {
                Heard::Keys(keys) => pressed.extend(keys),
                Heard::Perhaps => {}
                Heard::Answer(background) => backgrounds.push(background),
            }
        }
        (pressed, backgrounds)
    }

    fn answer(text: &str, end: KeyEvent) -> Vec<KeyEvent> {
        [vec![alt(']')], keys(text), vec![end]].concat()
    }

    #[test]
    fn the_answer_is_found_and_tells_dark_from_light() {
        for (text, expected) in [
            ("11;rgb:0000/0000/0000", Some(Background::Dark)),
            ("11;rgb:1e1e/1E1E/2e2e", Some(Background::Dark)),
            ("11;rgb:ffff/ffff/ffff", Some(Background::Light)),
            ("11;rgb:fd/f6/e3", Some(Background::Light)),
            ("11;rgb:f/0/0", Some(Background::Dark)),
            ("11;rgb:0/f/0", Some(Background::Light)),
            ("11;rgb:ffff/ffff", None),
            ("11;rgb:ffff/ffff/ffff/ffff", None),
            ("11;rgb://", None),
            ("11;rgb:fffff/f/f", None),
            ("11;rgb:", None),
            ("", None),
        ] {
            for end in [alt('\\'), bell()] {
                let (pressed, backgrounds) = heard(&answer(text, end));
                assert_eq!(backgrounds, expected.into_iter().collect::<Vec<_>>(), "{text}");
                // A text that is not an answer was typed.
                assert_eq!(pressed.is_empty(), expected.is_some(), "{text}");
            }
        }
    }

    /// A regression test: an `f` was lost, because something else read the terminal until the answer.
    #[test]
    fn keys_pressed_while_the_terminal_is_asked_are_not_lost() {
        let mut all = keys("f");
        all.extend(answer("11;rgb:ffff/ffff/ffff", alt('\\')));
        all.extend(keys("q"));
        assert_eq!(heard(&all), (keys("fq"), vec![Background::Light]));
        // A late answer is not typed text, and neither is an incomplete one.
        let twice =
            [answer("11;rgb:0/0/0", bell()), vec![alt(']')], keys("11;x"), answer("11;rgb:0/0/0", bell())].concat();
        let typed = [vec![alt(']')], keys("11;x")].concat();
        assert_eq!(heard(&twice), (typed, vec![Background::Dark; 2]));
    }

    #[test]
    fn terminals_that_would_show_the_question_are_not_asked() {
        for (variables, expected) in [
            (&[("TERM", "xterm-256color")][..], true),
            (&[("TERM", "tmux-256color"), ("TMUX", "x")], true),
            (&[("TERM", "screen-256color"), ("STY", "1.tty")], false),
            (&[("TERM", "linux")], false),
            (&[("TERM", "dumb")], false),
            (&[], false),
        ] {
            let variable =
                |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            assert_eq!(may_be_asked(variable), expected, "{variables:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_typed_comes_out_in_its_order(typed in "[\\]\\\\g1;rgb:f/]{0,40}", with in proptest::collection::vec(any::<bool>(), 40)) {
            let all: Vec<KeyEvent> = typed
                .chars()
                .zip(with)
                .map(|(character, with_alt)| if with_alt && character != '\\' { alt(character) } else { keys(&character.to_string())[0] })
                .collect();
            // Another key releases the held keys.
            let (pressed, backgrounds) = heard(&[all.clone(), keys("x")].concat());
            prop_assert_eq!(backgrounds, vec![]);
            prop_assert_eq!(pressed, [all, keys("x")].concat());
        }
    }
}

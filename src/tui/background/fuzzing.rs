//! The fuzz target of keys and answers of the terminal; see [`crate::fuzzing`].

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{Heard, Listener};

/// Bytes as keys, those above 127 with Alt. Keys that are not part of an answer must come out as typed.
pub fn background(data: &[u8]) {
    let all: Vec<KeyEvent> = data.iter().map(|byte| key(*byte)).chain([key(b'x')]).collect();
    let mut listener = Listener::default();
    let (mut pressed, mut held) = (Vec::new(), 0);
    for key in &all {
        held += 1;
        match listener.take(*key) {
            Heard::Keys(keys) => {
                assert!(keys.len() <= held, "{} of {held} keys", keys.len());
                held -= keys.len();
                pressed.extend(keys);
            }
            Heard::Perhaps => {}
            Heard::Answer(_) => held = 0,
        }
        assert!(held <= 40, "{held} keys are held");
    }
    let mut rest = all.iter();
    assert!(pressed.iter().all(|key| rest.any(|typed| typed == key)), "keys out of their order");
}

fn key(byte: u8) -> KeyEvent {
    let with = match byte {
        7 => return KeyEvent::new(KeyCode::Char('g'), KeyModifiers::CONTROL),
        128.. => KeyModifiers::ALT,
        b'A'..=b'Z' => KeyModifiers::SHIFT,
        _ => KeyModifiers::NONE,
    };
    KeyEvent::new(KeyCode::Char(char::from(byte & 127)), with)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_corpus_of_keys_is_replayed() {
        support::replay("background", super::background);
    }
}

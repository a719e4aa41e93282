//! Text of clients, mail servers and databases without what could move a terminal or forge a line.

/// The longest text that is accepted from a client, in characters.
const TEXT_CHARS: usize = 256;

/// A text of a client, cleaned and cut to the usual length.
pub(super) fn text(text: &str) -> String {
    clean(text, TEXT_CHARS)
}

/// `text` without control characters (escape sequences included), bidirectional overrides and line
/// breaks, cut to `max_chars`; runs of white space become one space.
#[must_use]
pub fn clean(text: &str, max_chars: usize) -> String {
    let mut cleaned = String::new();
    let mut chars = 0;
    let mut gap = false;
    for character in text.chars() {
        if character.is_whitespace() || is_unprintable(character) {
            gap = character.is_whitespace() || gap;
            continue;
        }
        if gap && !cleaned.is_empty() {
            chars += 1;
            if chars >= max_chars {
                break;
            }
            cleaned.push(' ');
        }
        gap = false;
        if chars >= max_chars {
            break;
        }
        cleaned.push(character);
        chars += 1;
    }
    cleaned
}

/// Characters that print nothing and can change how the rest is shown: C0 and C1 controls, zero-width
/// and bidirectional formatting (Unicode TR 36, section 3), and the replacement for lone surrogates.
fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_client_loses_what_could_move_a_terminal_or_a_mail_header() {
        for (raw, expected) in [
            ("web-1", "web-1"),
            ("a\x1b[31mred\x1b[0m", "a[31mred[0m"),
            ("a\r\nBcc: x@y", "a Bcc: x@y"),
            ("  padded \t\t text \n", "padded text"),
            ("\u{202e}gpj.exe", "gpj.exe"),
            ("\u{9b}2J", "2J"),
            ("zero\u{200b}width", "zerowidth"),
        ] {
            assert_eq!(clean(raw, 100), expected);
        }
        assert_eq!(clean("abcdef", 3), "abc");
        assert_eq!(clean("ab cd", 3), "ab");
        assert_eq!(clean("äöü", 2), "äö");
    }
}

//! Puts text into the operator's clipboard with an escape sequence, which also works through SSH. Inside tmux, also
//! puts it into tmux's buffer, in case the outer terminal ignores the sequence.

use std::{
    io::{self, Write},
    process::{Command, Stdio},
};

use crossterm::{clipboard::CopyToClipboard, queue};

/// The longest sequence. Most terminals silently drop longer ones.
const MOST_BYTES: usize = 74_000;

/// Copies `text`. If it is too long for a terminal, it is cut at a line end.
///
/// # Errors
/// If writing to the terminal fails, or tmux fails.
pub fn copy(terminal: &mut impl Write, text: &str, inside_tmux: bool) -> io::Result<()> {
    let text = cut(text);
    if inside_tmux {
        let mut tmux = Command::new("tmux")
            .args(["load-buffer", "-w", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        if let Some(mut input) = tmux.stdin.take() {
            input.write_all(text.as_bytes())?;
        }
        if tmux.wait()?.success() {
            return Ok(());
        }
    }
    queue!(terminal, CopyToClipboard::to_clipboard_from(text))?;
    terminal.flush()
}

fn cut(text: &str) -> &str {
    if text.len() <= MOST_BYTES {
        return text;
    }
    let head = text.get(..text.floor_char_boundary(MOST_BYTES)).unwrap_or("");
    head.rfind('\n').and_then(|end| head.get(..=end)).unwrap_or(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_one_sequence_whatever_the_text() {
        let mut terminal = Vec::new();
        copy(&mut terminal, "auth refused \x1b[2J", false).unwrap();
        let sent = String::from_utf8(terminal).unwrap();
        assert!(sent.starts_with("\x1b]52;c;"), "{sent:?}");
        assert_eq!(sent.matches('\x1b').count(), 2, "{sent:?}");
    }

    #[test]
    fn what_is_too_long_is_cut_at_a_line_end() {
        let long = "äöü\n".repeat(20_000);
        assert!(cut(&long).len() <= MOST_BYTES && cut(&long).ends_with('\n'));
        assert_eq!(cut("short"), "short");
    }
}

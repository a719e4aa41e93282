//! The fuzz target of `known_hosts` files; see [`crate::fuzzing`].

use super::{HostKeyVerdict, Marker, Names, line, parse};

/// Checks for the bytes of a file that every line is either used or reported, and that a key is checked against the
/// lines of its host.
pub fn known_hosts(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut state = parse(data.to_vec());
    assert!(state.entries.len() + state.bad_lines.len() <= state.lines);
    for (number, text) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let Ok(Some(entry)) = line::parse(number + 1, text) else { continue };
        let field = usize::from(text.trim_matches([' ', '\t', '\r']).starts_with('@'));
        let blanks = [' ', '\t'];
        let mut fields = text.trim_matches([' ', '\t', '\r']).split(blanks).filter(|field| !field.is_empty());
        let host = fields.nth(field).unwrap_or_default();
        let is_plain = host.is_ascii() && !host.is_empty() && !host.contains(['*', '?', '!', '|', ',', '[']);
        if !is_plain {
            continue;
        }
        let verdict = state.judge(&Names::new(host, 22), &entry.key);
        let is_right = match (entry.marker, &verdict) {
            (Marker::Revoked, verdict) => matches!(verdict, HostKeyVerdict::Revoked { .. }),
            (Marker::None, verdict) => matches!(verdict, HostKeyVerdict::Pinned | HostKeyVerdict::Revoked { .. }),
            (Marker::Authority, _) => true,
        };
        assert!(is_right, "{host}: {verdict:?}");
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_corpus_of_host_keys_is_replayed() {
        support::replay("known_hosts", super::known_hosts);
    }
}

//! Removes the pinned keys of one host from the text of a `known_hosts` file, as `ssh-keygen -R` does. Lines that also
//! apply to other hosts keep them. Not the file on disk, and not which key is pinned instead.

use super::line::{self, Hosts, Marker};

/// A line that pins a key for the host by a pattern, and so cannot be removed for this host alone. Counts from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PatternLine(pub(super) usize);

/// The text without the pinned keys of `name`, which must be in lower case: `host` or `[host]:port`. Revoked keys and
/// certificate authorities stay.
///
/// # Errors
/// If one of the lines has a pattern.
pub(super) fn without(bytes: &[u8], name: &str) -> Result<Vec<u8>, PatternLine> {
    let mut kept = Vec::with_capacity(bytes.len());
    for (index, raw) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let text = String::from_utf8_lossy(raw);
        let text = if index == 0 { text.trim_start_matches('\u{feff}') } else { &text };
        let parsed = line::parse(index + 1, text.trim_end_matches('\n')).ok().flatten();
        let entry = parsed.filter(|entry| entry.marker == Marker::None && entry.hosts.meet(name));
        match entry.map(|entry| entry.hosts) {
            None => kept.extend_from_slice(raw),
            Some(Hosts::Hashed { .. }) => {}
            Some(Hosts::Patterns(_)) => {
                let others = other_names(text, name).ok_or(PatternLine(index + 1))?;
                kept.extend_from_slice(others.as_bytes());
            }
        }
    }
    Ok(kept)
}

/// The line for the other names in it; empty if there are none, and `None` if the name is not there literally.
fn other_names(line: &str, name: &str) -> Option<String> {
    let start = line.len() - line.trim_start_matches([' ', '\t', '\r']).len();
    let (blanks, line) = line.split_at(start);
    let (names, rest) = line.split_at(line.find([' ', '\t'])?);
    let (own, others): (Vec<&str>, Vec<&str>) =
        names.split(',').filter(|other| !other.is_empty()).partition(|other| other.eq_ignore_ascii_case(name));
    let is_simple = |other: &&str| !other.contains(['*', '?', '!']);
    match (own.is_empty(), others.is_empty()) {
        (true, _) => None,
        (false, true) => Some(String::new()),
        // A pattern in it could still apply to the host.
        (false, false) => others.iter().all(is_simple).then(|| format!("{blanks}{}{rest}", others.join(","))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAyP2O1ykmBJqiDn/OmCW9+JOC4FDpAQYD+Yb2TaJTDX";

    #[test]
    fn only_the_pins_of_the_host_are_removed() {
        let check = |text: &str, expected: Result<&str, usize>| {
            let fill = |text: &str| text.replace("KEY", KEY);
            let found = without(fill(text).as_bytes(), "web-1").map(|bytes| String::from_utf8(bytes).unwrap());
            assert_eq!(found, expected.map(fill).map_err(PatternLine), "{text}");
        };
        let hashed = line::hashed("web-1", [7; 20]);
        let other = line::hashed("web-2", [7; 20]);
        check("", Ok(""));
        check("web-1 KEY\n", Ok(""));
        check("web-1 KEY", Ok(""));
        check("# web-1\nweb-1 KEY here\nweb-10 KEY\nweb-1 KEY\n", Ok("# web-1\nweb-10 KEY\n"));
        check("\u{feff}WEB-1,10.0.4.1 KEY a b\n", Ok("10.0.4.1 KEY a b\n"));
        check(" web-0,Web-1 KEY\r\n", Ok(" web-0 KEY\r\n"));
        check(&format!("{hashed} KEY\n{other} KEY\n"), Ok(&format!("{other} KEY\n")));
        check("@revoked web-1 KEY\n@cert-authority web-* KEY\n", Ok("@revoked web-1 KEY\n@cert-authority web-* KEY\n"));
        check("[web-1]:22 KEY\nnonsense\n", Ok("[web-1]:22 KEY\nnonsense\n"));
        check("a KEY\nweb-* KEY\n", Err(2));
        check("web-1,w* KEY\n", Err(1));
        check("web-*,!web-1 KEY\n", Ok("web-*,!web-1 KEY\n"));
    }
}

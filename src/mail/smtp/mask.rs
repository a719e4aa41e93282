//! Removes secrets from texts of a server, which may quote our lines. Pure.

use secrecy::zeroize::Zeroizing;

/// The replacement of a secret.
const IN_PLACE: &str = "[password]";

/// The secrets of a login in all encodings.
#[derive(Default)]
pub(super) struct Mask {
    lasting: Vec<Zeroizing<Vec<char>>>,
    /// The secrets of the current connection.
    passing: Vec<Zeroizing<Vec<char>>>,
}

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mask").finish_non_exhaustive()
    }
}

impl Mask {
    /// A mask for these secrets.
    pub(super) fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        Self { lasting: forms(secrets), passing: Vec::new() }
    }

    /// Replaces the secrets of the previous connection.
    pub(super) fn hide_for_now<'a>(&mut self, secrets: impl IntoIterator<Item = &'a str>) {
        self.passing = forms(secrets);
    }

    /// The text without the secrets, regardless of case and line breaks.
    pub(super) fn apply(&self, text: &str) -> String {
        // The significant characters with their positions.
        let counting: Vec<(usize, char)> =
            text.char_indices().flat_map(|(at, c)| counting(c).map(move |c| (at, c))).collect();
        let mut shown = String::with_capacity(text.len());
        let (mut copied, mut next) = (0, 0);
        while next < counting.len() {
            let Some(mut end) = self.longest_at(&counting, next) else {
                next += 1;
                continue;
            };
            // A secret may begin within this one and end after it.
            let mut inner = next + 1;
            while inner < end {
                end = self.longest_at(&counting, inner).map_or(end, |other| other.max(end));
                inner += 1;
            }
            let place = |index: usize| counting.get(index).map(|(at, _)| *at);
            let start = place(next).unwrap_or(text.len());
            let last = place(end - 1).unwrap_or(text.len());
            shown.push_str(text.get(copied..start).unwrap_or_default());
            shown.push_str(IN_PLACE);
            copied = last + text.get(last..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
            next = end;
        }
        shown.push_str(text.get(copied..).unwrap_or_default());
        shown
    }

    /// The end of the longest secret that begins at `start`.
    fn longest_at(&self, text: &[(usize, char)], start: usize) -> Option<usize> {
        let rest = text.get(start..)?;
        let is_there = |secret: &&Zeroizing<Vec<char>>| {
            secret.len() <= rest.len() && secret.iter().zip(rest).all(|(wanted, (_, found))| wanted == found)
        };
        let secrets = self.lasting.iter().chain(&self.passing);
        secrets.filter(is_there).map(|secret| start + secret.len()).max()
    }
}

fn forms<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Vec<Zeroizing<Vec<char>>> {
    let form = |secret: &str| {
        let mut form = Zeroizing::new(Vec::with_capacity(secret.len()));
        form.extend(secret.chars().flat_map(counting));
        form
    };
    secrets.into_iter().map(form).filter(|form| !form.is_empty()).collect()
}

/// The characters that are compared: without case and without those that a server may add or omit.
fn counting(c: char) -> impl Iterator<Item = char> {
    let counts = !c.is_whitespace() && !c.is_control();
    counts.then(|| c.to_lowercase()).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_hidden_however_it_is_said() {
        let mut mask = Mask::new(["open sesame", "b3BlbiBzZXNhbWU=", "", "ab12", "12cd"]);
        mask.hide_for_now(["0123456789abcdef"]);
        for (text, expected) in [
            ("", ""),
            ("535 no", "535 no"),
            ("535 (open sesame, b3BlbiBzZXNhbWU=)", "535 ([password], [password])"),
            ("535 OPEN SESAME", "535 [password]"),
            ("535 open\r\n sesame!", "535 [password]!"),
            ("535 o\0pensesame", "535 [password]"),
            ("535 b3BlbiBz ZXNhbWU= é", "535 [password] é"),
            ("open sesameopen sesame", "[password][password]"),
            ("open sesam", "open sesam"),
            ("xab12cdx", "x[password]x"),
            ("0123456789ABCDEF", "[password]"),
        ] {
            assert_eq!(mask.apply(text), expected, "{text}");
        }
        mask.hide_for_now([]);
        assert_eq!(mask.apply("0123456789abcdef"), "0123456789abcdef");
        assert!(!format!("{mask:?}").contains("sesame"));
    }
}

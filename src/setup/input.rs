//! The text of a file, checked before anything in it is read, and the errors that name its lines. What the lines mean is
//! decided by the reader of each format.

/// The largest file that is read: enough for the largest fleet.
pub const MOST_BYTES: u64 = 16 << 20;

/// The command by which Ansible writes an inventory with everything that only it can read.
pub const EXPORT: &str = "`ansible-inventory -i FILE --list --yaml --export --output hosts.yml`";

/// Why a source of hosts cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}: {hint}")]
pub struct InputError {
    /// The file and the line, or the argument.
    pub place: String,
    /// What is wrong.
    pub problem: String,
    /// What to do instead.
    pub hint: String,
}

impl InputError {
    pub(super) fn new(place: &str, problem: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { place: place.to_owned(), problem: problem.into(), hint: hint.into() }
    }
}

/// The place of a line, counted from 1.
pub(super) fn at(file: &str, line: usize) -> String {
    format!("{file}:{line}")
}

/// The text of a file, without a byte order mark.
///
/// # Errors
/// [`InputError`] if it is too large, no UTF-8 text, encrypted or a program.
pub fn text<'a>(bytes: &'a [u8], file: &str) -> Result<&'a str, InputError> {
    let wrong = |line: usize, problem: &str, hint: &str| Err(InputError::new(&at(file, line), problem, hint));
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MOST_BYTES) {
        let problem = format!("the file is larger than {} MiB", MOST_BYTES >> 20);
        return Err(InputError::new(file, problem, "name a file with fewer hosts"));
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return wrong(1, "the file is UTF-16", "save it as UTF-8");
    }
    let line_at = |offset: usize| 1 + bytes.iter().take(offset).filter(|byte| **byte == b'\n').count();
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => return wrong(line_at(error.valid_up_to()), "the text is not UTF-8", "save the file as UTF-8"),
    };
    if let Some(offset) = text.find('\0') {
        return wrong(line_at(offset), "the file contains a NUL character", "name a text file");
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.starts_with("$ANSIBLE_VAULT;") {
        return wrong(
            1,
            "the file is encrypted with ansible-vault",
            "decrypt a copy with `ansible-vault decrypt --output FILE`",
        );
    }
    if text.starts_with("#!") {
        return wrong(1, "the file is a program, such as a dynamic inventory", &format!("name what {EXPORT} writes"));
    }
    Ok(text)
}

/// The lines of a text with their numbers, without the ends of lines.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_refused_with_its_line() {
        let check = |bytes: &[u8], expected: Result<&str, &str>| {
            let read = text(bytes, "hosts");
            let read = read.map_err(|error| error.to_string());
            assert_eq!(read, expected.map_err(str::to_owned), "{bytes:?}");
        };
        check(b"", Ok(""));
        check(b"\xef\xbb\xbfa\r\n", Ok("a\r\n"));
        check(b"a\nb\xfc", Err("hosts:2: the text is not UTF-8: save the file as UTF-8"));
        check(b"\xff\xfea\0", Err("hosts:1: the file is UTF-16: save it as UTF-8"));
        check(b"a\n\nb\0", Err("hosts:3: the file contains a NUL character: name a text file"));
        check(
            b"$ANSIBLE_VAULT;1.1;AES256\n6162",
            Err(
                "hosts:1: the file is encrypted with ansible-vault: decrypt a copy with `ansible-vault decrypt --output FILE`",
            ),
        );
        check(
            b"#!/usr/bin/env python3\n",
            Err(
                "hosts:1: the file is a program, such as a dynamic inventory: name what `ansible-inventory -i FILE --list --yaml --export --output hosts.yml` writes",
            ),
        );
        let large = vec![b'a'; usize::try_from(MOST_BYTES).unwrap() + 1];
        assert!(text(&large, "hosts").unwrap_err().to_string().contains("larger than 16 MiB"));
    }
}

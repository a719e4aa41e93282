//! A word of a command that an operator copies into a shell. Commands on clients are built elsewhere.

/// The word, quoted if it contains special characters.
#[must_use]
pub fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "@._:-%+/".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_a_command_is_one_word() {
        let check = |path: &str, expected: &str| assert_eq!(shell_word(path), expected);
        check("/etc/fleetsweep/config.xml", "/etc/fleetsweep/config.xml");
        check("my conf.xml", "'my conf.xml'");
        check("a'$(b)", "'a'\\''$(b)'");
        check("", "''");
    }
}

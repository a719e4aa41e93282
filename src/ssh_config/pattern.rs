//! The patterns of `Host` and `Match`: `*`, `?` and, before a pattern, `!`. Not the globs of `Include`.

/// Whether a text matches a pattern. The work is bounded by the product of their lengths.
pub(super) fn matches(text: &str, pattern: &str) -> bool {
    if !pattern.contains(['*', '?']) {
        return text == pattern;
    }
    let text: Vec<char> = text.chars().collect();
    // Whether each beginning of the text, the empty one first, matches the part of the pattern that was looked at.
    let mut reached = vec![false; text.len() + 1];
    if let Some(empty) = reached.first_mut() {
        *empty = true;
    }
    for wanted in pattern.chars() {
        let mut before = false;
        let mut any_before = false;
        for (index, here) in reached.iter_mut().enumerate() {
            let previous = *here;
            any_before |= previous;
            let letter = index.checked_sub(1).and_then(|index| text.get(index));
            *here = match wanted {
                '*' => any_before,
                '?' => before && letter.is_some(),
                _ => before && letter == Some(&wanted),
            };
            before = previous;
        }
    }
    reached.last().copied().unwrap_or(false)
}

/// Whether a text matches one of the patterns and none of the negated ones.
pub(super) fn matches_any<'a>(text: &str, patterns: impl IntoIterator<Item = &'a str>) -> bool {
    let mut found = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(negated) if matches(text, negated) => return false,
            Some(_) => {}
            None => found |= matches(text, pattern),
        }
    }
    found
}

/// The same for a list separated by commas.
pub(super) fn matches_list(text: &str, list: &str) -> bool {
    matches_any(text, list.split(','))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_know_two_wildcards() {
        let check = |text: &str, pattern: &str, expected: bool| {
            assert_eq!(matches(text, pattern), expected, "{text} {pattern}");
        };
        check("", "", true);
        check("", "*", true);
        check("", "?", false);
        check("ab", "ab", true);
        check("ab", "AB", false);
        check("ab", "a", false);
        check("ab", "a?", true);
        check("ab", "a??", false);
        check("ab", "*b", true);
        check("ab", "*a", false);
        check("abcabd", "*ab?", true);
        check("ab", "**", true);
        check("a[b]", "a[b]", true);
        check(&"a".repeat(500), &format!("{}b", "*a".repeat(200)), false);
    }

    #[test]
    fn a_negated_pattern_excludes_and_never_includes() {
        let check = |text: &str, list: &str, expected: bool| {
            assert_eq!(matches_list(text, list), expected, "{text} {list}");
        };
        check("ab", "x,ab", true);
        check("ab", "!x", false);
        check("ab", "*,!a?", false);
        check("ab", "!a?,*", false);
        check("cd", "*,!a?", true);
    }
}

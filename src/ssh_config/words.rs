//! Splits a line into its keyword and its arguments: blanks, one `=`, quotes, escapes, comments. Not what they mean.

/// A line without the blanks around it, split after its keyword; `None` for an empty line and a comment.
pub(super) fn split_keyword(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_matches(is_blank);
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    if let Some(quoted) = line.strip_prefix('"')
        && let Some((keyword, rest)) = quoted.split_once('"')
    {
        return Some((keyword, after_separator(rest)));
    }
    let end = line.find(|letter| is_blank(letter) || letter == '=').unwrap_or(line.len());
    let (keyword, rest) = line.split_at(end);
    Some((keyword, after_separator(rest)))
}

/// What follows the blanks and at most one `=`.
fn after_separator(rest: &str) -> &str {
    let rest = rest.trim_start_matches(is_blank);
    rest.strip_prefix('=').map_or(rest, |rest| rest.trim_start_matches(is_blank))
}

/// What counts as a blank in a line: form feeds and carriage returns too.
fn is_blank(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\r' | '\n' | '\u{c}')
}

/// A quote is not closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UnclosedQuote;

/// The arguments of a line. A word that begins with `#` begins a comment.
pub(super) fn arguments(text: &str) -> Result<Vec<String>, UnclosedQuote> {
    let mut found = Vec::new();
    let mut letters = text.chars().peekable();
    loop {
        while letters.next_if(|letter| is_blank(*letter)).is_some() {}
        match letters.peek() {
            None | Some('#') => return Ok(found),
            Some(_) => {}
        }
        let mut word = String::new();
        let mut quote = None;
        while let Some(letter) = letters.next_if(|letter| quote.is_some() || !is_blank(*letter)) {
            match letter {
                '\\' => {
                    let escaped = |next: &char| matches!(next, '"' | '\'' | '\\') || (quote.is_none() && *next == ' ');
                    word.push(letters.next_if(escaped).unwrap_or('\\'));
                }
                '"' | '\'' if quote.is_none() => quote = Some(letter),
                _ if quote == Some(letter) => quote = None,
                _ => word.push(letter),
            }
        }
        if quote.is_some() {
            return Err(UnclosedQuote);
        }
        found.push(word);
    }
}

/// The text up to a word that begins with `#`, without the blanks before that.
pub(super) fn without_comment(text: &str) -> &str {
    let is_comment = |(_, before): &(&str, &str)| before.is_empty() || before.ends_with(is_blank);
    let comment =
        text.match_indices('#').map(|(at, _)| text.split_at(at)).map(|(before, rest)| (rest, before)).find(is_comment);
    comment.map_or(text, |(_, before)| before.trim_end_matches(is_blank))
}

/// The next word of a `Match` line and what follows it. Only double quotes around a whole word count there, and `=`
/// separates as a blank does.
pub(super) fn next_of_match(text: &str) -> Result<Option<(&str, &str)>, UnclosedQuote> {
    let text = text.trim_matches(is_blank);
    if text.is_empty() {
        return Ok(None);
    }
    if let Some(quoted) = text.strip_prefix('"') {
        let (word, rest) = quoted.split_once('"').ok_or(UnclosedQuote)?;
        return Ok(Some((word, after_separator(rest))));
    }
    let end = text.find(|letter| is_blank(letter) || letter == '=').unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    Ok(Some((word, after_separator(rest))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_split_after_its_keyword() {
        let check = |line: &str, expected: Option<(&str, &str)>| assert_eq!(split_keyword(line), expected, "{line:?}");
        check("", None);
        check(" \t# User x", None);
        check("User x", Some(("User", "x")));
        check("  User\t x \u{c}\r", Some(("User", "x")));
        check("User=x", Some(("User", "x")));
        check("User = x", Some(("User", "x")));
        check("User ==x", Some(("User", "=x")));
        check("\"User\" x", Some(("User", "x")));
        check("User", Some(("User", "")));
    }

    #[test]
    fn arguments_have_quotes_escapes_and_comments() {
        let check = |text: &str, expected: Result<&[&str], UnclosedQuote>| {
            let expected = expected.map(|words| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
            assert_eq!(arguments(text), expected, "{text:?}");
        };
        check("", Ok(&[]));
        check("a  b", Ok(&["a", "b"]));
        check("a # b", Ok(&["a"]));
        check("a#b", Ok(&["a#b"]));
        check(r#""a b" 'c "d'"#, Ok(&["a b", "c \"d"]));
        check(r#"a"b c"d"#, Ok(&["ab cd"]));
        check(r"x\ y x\y x\\y", Ok(&["x y", "x\\y", "x\\y"]));
        check(r#""x\"y" "x\ y""#, Ok(&["x\"y", "x\\ y"]));
        check("\"\"", Ok(&[""]));
        check("\"a", Err(UnclosedQuote));
        check("'a", Err(UnclosedQuote));
    }

    #[test]
    fn a_match_line_is_read_word_by_word() {
        let check = |text: &str, expected: Result<Option<(&str, &str)>, UnclosedQuote>| {
            assert_eq!(next_of_match(text), expected, "{text:?}");
        };
        check("", Ok(None));
        check("host a*,b user c", Ok(Some(("host", "a*,b user c"))));
        check("host=\"a b\"", Ok(Some(("host", "\"a b\""))));
        check("\"test -f x\" user c", Ok(Some(("test -f x", "user c"))));
        check("\"test", Err(UnclosedQuote));
    }
}

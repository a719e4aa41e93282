//! Ranges in an attribute, such as `web-[01-12].example.com` or `10.0.[4,5].[1-40]`, expanded in the order in which
//! they are written. What the expanded texts mean is decided by the caller.

use std::ops::Range;

use super::{
    safe_text::{SafeText, digits, padded as padded_with, words},
    value_error::ValueError,
};

/// The most texts that one attribute expands to. A larger range is probably a mistake.
pub(super) const MOST: usize = 65_536;

/// A text with ranges in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Runs(Vec<Run>),
}

/// Consecutive numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Run {
    first: u32,
    last: u32,
    /// Shorter numbers are padded with zeros on the left to this width.
    width: usize,
}

impl Run {
    fn len(&self) -> usize {
        usize::try_from(self.last - self.first).unwrap_or(usize::MAX).saturating_add(1)
    }
}

impl Pattern {
    /// Parses a pattern. Positions in errors are byte offsets in `text`.
    pub(super) fn parse(text: &str) -> Result<Self, ValueError> {
        let mut parts = Vec::new();
        let mut offset = 0;
        while let Some(rest) = text.get(offset..).filter(|rest| !rest.is_empty()) {
            let bracket = rest.find(['[', ']']).unwrap_or(rest.len());
            if bracket > 0 {
                parts.push(Part::Text(rest.get(..bracket).unwrap_or_default().to_owned()));
            }
            let Some(inside) = rest.get(bracket..).filter(|rest| !rest.is_empty()) else { break };
            let start = offset + bracket;
            let Some(inside) = inside.strip_prefix('[') else {
                return Err(ValueError::new("`]` has no matching `[`", "write a range like `[1-40]` or `[1,3,7-12]`")
                    .within(start..start + 1));
            };
            let Some(length) =
                inside.find([']', '[']).filter(|end| inside.get(*end..).is_some_and(|r| r.starts_with(']')))
            else {
                return Err(ValueError::new("this `[` has no `]`", "write a range like `[1-40]` or `[1,3,7-12]`")
                    .within(start..start + 1));
            };
            let content = inside.get(..length).unwrap_or_default();
            parts.push(Part::Runs(runs(content, start + 1)?));
            offset = start + 1 + length + 1;
        }
        let pattern = Self(parts);
        let count = pattern.count();
        if count > MOST {
            let count = if count == usize::MAX { "too many".into() } else { words![count] };
            return Err(ValueError::new(
                words!["this expands to ", count, " clients, but at most ", MOST, " are allowed"],
                "write smaller ranges",
            ));
        }
        Ok(pattern)
    }

    /// Whether it contains a range.
    pub(super) fn has_range(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Runs(_)))
    }

    /// The number of texts that it expands to; `usize::MAX` if that overflows.
    pub(super) fn count(&self) -> usize {
        self.0.iter().fold(1, |count: usize, part| match part {
            Part::Text(_) => count,
            Part::Runs(runs) => {
                count.saturating_mul(runs.iter().fold(0, |sum: usize, run| sum.saturating_add(run.len())))
            }
        })
    }

    /// All texts. The last range varies fastest.
    pub(super) fn expand(&self) -> Vec<String> {
        let mut texts = vec![String::new()];
        for part in &self.0 {
            match part {
                Part::Text(piece) => texts.iter_mut().for_each(|text| text.push_str(piece)),
                Part::Runs(runs) => {
                    texts = texts
                        .iter()
                        .flat_map(|text| runs.iter().map(move |run| (text, run)))
                        .flat_map(|(text, &Run { first, last, width })| {
                            (first..=last).map(move |number| format!("{text}{number:0width$}"))
                        })
                        .collect();
                }
            }
        }
        texts
    }
}

/// Parses the text between brackets; `base` is its offset in the whole text.
fn runs(content: &str, base: usize) -> Result<Vec<Run>, ValueError> {
    let mut offset = base;
    let mut runs = Vec::new();
    for item in content.split(',') {
        let at = offset..offset + item.len();
        offset = at.end + 1;
        runs.push(run(item, at)?);
    }
    Ok(runs)
}

fn run(item: &str, at: Range<usize>) -> Result<Run, ValueError> {
    let (low, high) = match item.split_once('-') {
        Some((low, high)) => (low.trim(), high.trim()),
        None => (item.trim(), item.trim()),
    };
    // The number and how it is written.
    let number = |text: &str| -> Option<(u32, SafeText)> { Some((text.parse().ok()?, digits(text)?)) };
    let (Some((first, low_shown)), Some((last, high_shown))) = (number(low), number(high)) else {
        let problem = match item.trim() {
            "" => "an item of the range is empty",
            _ => "this is not a number or a range of numbers",
        };
        return Err(ValueError::new(problem, "write numbers like `[1-40]` or `[01,03,07-12]`").within(at));
    };
    let shown = || words!["`", low_shown, "-", high_shown, "`"];
    if first > last {
        let hint = words!["write `", high_shown, "-", low_shown, "`"];
        return Err(ValueError::new(words!["the range ", shown(), " runs backwards"], hint).within(at));
    }
    let padded = |digits: &str| digits.len() > 1 && digits.starts_with('0');
    let width = if padded(low) || padded(high) { low.len() } else { 0 };
    if width > 0 && high.len() < width || padded(high) && high.len() != width {
        let digits = low.len().max(high.len());
        let hint = words!["write `", padded_with(first, digits), "-", padded_with(last, digits), "`"];
        return Err(
            ValueError::new(words!["the ends of ", shown(), " have different numbers of digits"], hint).within(at)
        );
    }
    Ok(Run { first, last, width })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_expand_in_order() {
        for (text, expected) in [
            ("db", "db"),
            ("", ""),
            ("10.0.4.[1-3]", "10.0.4.1 10.0.4.2 10.0.4.3"),
            ("w[01,03,07-09]", "w01 w03 w07 w08 w09"),
            ("w[08-11]x", "w08x w09x w10x w11x"),
            ("w[099-101]", "w099 w100 w101"),
            ("[1-2].[3, 5]", "1.3 1.5 2.3 2.5"),
            ("[7]", "7"),
            ("[0-1]", "0 1"),
        ] {
            let pattern = Pattern::parse(text).unwrap();
            assert_eq!(pattern.expand().join(" "), expected);
            assert_eq!(pattern.count(), pattern.expand().len());
        }
    }

    #[test]
    fn what_is_no_range_is_refused_with_its_place() {
        for (text, at, problem) in [
            ("w[9-1]", 2..5, "the range `9-1` runs backwards"),
            ("w[1-2", 1..2, "this `[` has no `]`"),
            ("w[1[2]]", 1..2, "this `[` has no `]`"),
            ("w1]", 2..3, "`]` has no matching `[`"),
            ("w[]", 2..2, "an item of the range is empty"),
            ("w[1,,2]", 4..4, "an item of the range is empty"),
            ("w[a-f]", 2..5, "this is not a number or a range of numbers"),
            ("w[1-2-3]", 2..7, "this is not a number or a range of numbers"),
            ("w[+1]", 2..4, "this is not a number or a range of numbers"),
            ("w[-3]", 2..4, "this is not a number or a range of numbers"),
            ("w[4294967296]", 2..12, "this is not a number or a range of numbers"),
            ("w[01-5]", 2..6, "the ends of `01-5` have different numbers of digits"),
            ("w[1-05]", 2..6, "the ends of `1-05` have different numbers of digits"),
        ] {
            let wrong = Pattern::parse(text).unwrap_err();
            assert_eq!((wrong.problem.as_str(), wrong.at), (problem, Some(at)), "{text}");
        }
        for (text, count) in
            [("[0-65536]", "65537"), ("[1-9999].[1-9999]", "99980001"), ("[0-4294967295]", "4294967296")]
        {
            let wrong = Pattern::parse(text).unwrap_err();
            assert_eq!(
                wrong.problem.as_str(),
                format!("this expands to {count} clients, but at most 65536 are allowed")
            );
        }
        assert_eq!(Pattern::parse("[0-65535]").unwrap().count(), MOST);
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_expands_to_as_many_as_it_counts(text in "[0-9a\\[\\],. -]{0,16}") {
            if let Ok(pattern) = Pattern::parse(&text) {
                prop_assert!(pattern.count() <= MOST);
                prop_assert_eq!(pattern.expand().len(), pattern.count());
            }
        }

        #[test]
        fn a_range_expands_to_its_numbers(first in 0u32..500, length in 0u32..500, others in 1u32..20) {
            let pattern = Pattern::parse(&format!("a[{first}-{}]b[1-{others}]", first + length)).unwrap();
            let expected: Vec<String> = (first..=first + length)
                .flat_map(|one| (1..=others).map(move |other| format!("a{one}b{other}")))
                .collect();
            prop_assert_eq!(pattern.expand(), expected);
        }
    }
}

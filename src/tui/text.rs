//! Text in screen columns: its width, and how it is cut. A letter is a grapheme cluster of 0 to 2 columns.

use std::{borrow::Cow, collections::BTreeSet};

use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Units that must not be separated from their number.
const UNITS: [&str; 8] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "%"];

/// How a name that is too long is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NameCut {
    /// The beginning and the end remain; the beginning gets this many 36ths of the width.
    Middle(u16),
    /// The part from this column on remains.
    From(u16),
}

/// A little more for the end, where names of machines usually differ.
pub(super) const BALANCED: NameCut = NameCut::Middle(16);

/// The cuts that are tried for different names. The first of the best is used.
const CUTS: [NameCut; 5] = [BALANCED, NameCut::Middle(24), NameCut::Middle(8), NameCut::Middle(36), NameCut::Middle(0)];

/// The number of columns of a text: the sum of its letters.
pub(super) fn columns_of(text: &str) -> u16 {
    let mut characters = text.chars();
    let columns = match (characters.next(), characters.next()) {
        _ if is_plain(text) => text.len(),
        // Most of a screen: rules, bars and signs.
        (Some(only), None) => only.width().unwrap_or(0),
        (_, _) => letters(text).map(|(_, columns)| columns).sum(),
    };
    u16::try_from(columns).unwrap_or(u16::MAX)
}

/// Whether each byte takes one column.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// The letters of a text with their widths.
pub(super) fn letters(text: &str) -> impl DoubleEndedIterator<Item = (&str, usize)> {
    text.graphemes(true).map(|letter| (letter, letter.width()))
}

/// The text in ASCII with the same width. Letters without an ASCII form become `?`.
pub(super) fn ascii(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for (letter, columns) in letters(text) {
        match letter {
            _ if letter.is_ascii() => plain.push_str(letter),
            "·" | "–" => plain.push('-'),
            "…" => plain.push('~'),
            "→" | "▸" => plain.push('>'),
            "←" => plain.push('<'),
            _ => plain.extend(std::iter::repeat_n('?', columns)),
        }
    }
    plain
}

/// The beginning of `text` in at most `width` columns. If it is longer, it ends with `more`, which takes one column. A
/// number at the cut is removed with its unit.
pub(super) fn cut_end<'t>(text: &'t str, width: u16, more: &str) -> Cow<'t, str> {
    if columns_of(text) <= width {
        return text.into();
    }
    let Some(room) = width.checked_sub(1) else { return "".into() };
    let head = beginning(text, usize::from(room));
    let kept = without_cut_number(head, text.get(head.len()..).unwrap_or_default());
    // If nothing else would be left, a truncated number at least shows that there is one.
    let kept = if kept.trim().is_empty() { head } else { kept };
    format!("{kept}{more}").into()
}

/// A name in at most `width` columns.
pub(super) fn cut_name<'t>(name: &'t str, width: u16, cut: NameCut, more: &str) -> Cow<'t, str> {
    if columns_of(name) <= width {
        return name.into();
    }
    let Some(room) = width.checked_sub(1) else { return "".into() };
    match cut {
        NameCut::Middle(parts) => {
            let head = beginning(name, usize::from(room) * usize::from(parts) / 36);
            let tail = end(name, usize::from(room - columns_of(head).min(room)));
            format!("{head}{more}{tail}").into()
        }
        NameCut::From(_) if room == 0 => more.to_owned().into(),
        NameCut::From(from) => {
            let from = beginning(name, usize::from(from)).len();
            let rest = name.get(from..).unwrap_or_default();
            // The sign for omitted text needs a column, too, unless nothing is omitted.
            if columns_of(rest) <= room {
                return format!("{more}{}", end(name, usize::from(room))).into();
            }
            format!("{more}{}{more}", beginning(rest, usize::from(room.saturating_sub(1)))).into()
        }
    }
}

/// The cut with which most of these names remain different in `width` columns.
pub(super) fn best_cut<'n>(names: impl Iterator<Item = &'n str> + Clone, width: u16) -> NameCut {
    let all: BTreeSet<&str> = names.filter(|name| columns_of(name) > width).collect();
    if all.len() < 2 {
        return BALANCED;
    }
    let different =
        |cut: NameCut| all.iter().map(|name| cut_name(name, width, cut, " ")).collect::<BTreeSet<_>>().len();
    let mut best = (BALANCED, 0);
    let from = NameCut::From(differ_from(&all));
    for cut in CUTS.into_iter().chain([from]) {
        if best.1 < all.len() {
            let count = different(cut);
            best = if count > best.1 { (cut, count) } else { best };
        }
    }
    best.0
}

/// The first column in which names differ. They must be sorted.
fn differ_from(sorted: &BTreeSet<&str>) -> u16 {
    let (Some(first), Some(last)) = (sorted.first(), sorted.last()) else { return 0 };
    let common = letters(first).zip(letters(last)).take_while(|(a, b)| a == b).map(|((_, columns), _)| columns);
    u16::try_from(common.sum::<usize>()).unwrap_or(u16::MAX)
}

/// The beginning of `text` in at most this many columns.
fn beginning(text: &str, columns: usize) -> &str {
    let mut taken = 0;
    let mut bytes = 0;
    for (letter, wide) in letters(text) {
        if taken + wide > columns {
            break;
        }
        taken += wide;
        bytes += letter.len();
    }
    text.get(..bytes).unwrap_or_default()
}

/// The end of `text` in at most this many columns.
pub(super) fn end(text: &str, columns: usize) -> &str {
    let mut taken = 0;
    let mut bytes = 0;
    for (letter, wide) in letters(text).rev() {
        if taken + wide > columns {
            break;
        }
        taken += wide;
        bytes += letter.len();
    }
    text.get(text.len() - bytes..).unwrap_or_default()
}

/// `head` without a number that the cut before `rest` would truncate or separate from its unit.
fn without_cut_number<'t>(head: &'t str, rest: &str) -> &'t str {
    let in_number = |c: char| c.is_ascii_digit() || matches!(c, '.' | ',' | ':');
    let word = |text: &str| text.split(' ').next().unwrap_or_default().trim_end_matches([',', ';', '.']).to_owned();
    let goes_on = rest.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ',' | ':' | '%'));
    let unit_follows = rest.starts_with(' ') && UNITS.contains(&&*word(rest.trim_start()));
    let unit_is_cut = head.ends_with(' ') && UNITS.contains(&&*word(rest));
    let last = head.trim_end();
    let is_number = |text: &str| text.ends_with(|c: char| c.is_ascii_digit());
    let number = match last.rsplit_once(' ') {
        // `8.8 G` of `8.8 GiB`.
        Some((before, unit))
            if goes_on && !head.ends_with(' ') && is_number(before) && UNITS.iter().any(|it| it.starts_with(unit)) =>
        {
            before
        }
        _ if (goes_on && !head.ends_with(' ')) || unit_follows || unit_is_cut => last,
        _ => return head,
    };
    let begin = number.rsplit(' ').next().unwrap_or(number);
    if begin.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+')) && begin.contains(in_number) {
        number.get(..number.len() - begin.len()).unwrap_or_default()
    } else {
        head
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_middle_of_a_name_gives_way() {
        for (name, width, expected) in [
            ("refuses-every-password-login-07", 17, "refuses…-login-07"),
            ("short", 5, "short"),
            ("longer", 5, "l…ger"),
            ("longer", 1, "…"),
            ("longer", 0, ""),
            // Wide letters, emoji of several characters, combining marks.
            ("机房東京大阪名古屋", 9, "机…名古屋"),
            ("db-👩‍👩‍👧‍👦-👩‍👩‍👧‍👦-01", 8, "db-…-01"),
            ("e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}", 5, "e\u{301}…e\u{301}e\u{301}e\u{301}"),
        ] {
            assert_eq!(cut_name(name, width, BALANCED, "…"), expected);
        }
    }

    #[test]
    fn a_text_is_cut_before_a_number_and_its_unit() {
        for (text, width, expected) in [
            ("cpu 97% > 90%", 13, "cpu 97% > 90%"),
            ("cpu 97% > 90%", 12, "cpu 97% > …"),
            ("cpu 97% > 90%", 6, "cpu …"),
            ("used 8.8 GiB of 10.0 GiB", 12, "used …"),
            ("used 8.8 GiB of 10.0 GiB", 9, "used …"),
            ("used 8.8 GiB of 10.0 GiB", 15, "used 8.8 GiB o…"),
            ("web-0123456789", 8, "web-012…"),
            ("no such user", 6, "no su…"),
        ] {
            assert_eq!(cut_end(text, width, "…"), expected);
        }
    }

    #[test]
    fn names_are_cut_where_they_are_alike() {
        let shown = |names: [&str; 3], width| {
            let cut = best_cut(names.iter().copied(), width);
            names.map(|name| cut_name(name, width, cut, "…").into_owned())
        };
        assert_eq!(
            shown(["refuses-a-login-01", "refuses-a-login-02", "refuses-a-login-03"], 9),
            ["ref…in-01", "ref…in-02", "ref…in-03"]
        );
        let hosts = ["web-01.rack.example.com", "web-02.rack.example.com", "web-03.rack.example.com"];
        assert_eq!(shown(hosts, 12), ["web-01.….com", "web-02.….com", "web-03.….com"]);
        let inside =
            ["aaaaaaaaaaaaaaa1bbbbbbbbbbbbbbb", "aaaaaaaaaaaaaaa2bbbbbbbbbbbbbbb", "aaaaaaaaaaaaaaa3bbbbbbbbbbbbbbb"];
        assert_eq!(shown(inside, 6), ["…1bbb…", "…2bbb…", "…3bbb…"]);
    }

    proptest! {
        /// One letter is sufficient if it is alone between the two signs.
        #[test]
        fn names_that_differ_stay_different(
            before in "[a-z]{0,40}", after in "[a-z]{0,40}", first in "[0-4]", second in "[5-9]", width in 3_u16..60,
        ) {
            let names = [format!("{before}{first}{after}"), format!("{before}{second}{after}")];
            let cut = best_cut(names.iter().map(String::as_str), width);
            let shown = names.each_ref().map(|name| cut_name(name, width, cut, "…"));
            prop_assert_ne!(&shown[0], &shown[1]);
        }

        /// Each displayed number also has its unit.
        #[test]
        fn a_cut_shows_no_other_number(words in prop::collection::vec("[a-z]{1,6}|[0-9]{1,4}(\\.[0-9])?(%|ms| GiB)?", 1..6), width in 1_u16..40) {
            let text = words.join(" ");
            let cut = cut_end(&text, width, "…");
            let kept: Vec<&str> = cut.trim_end_matches('…').split(' ').filter(|word| !word.is_empty()).collect();
            let all: Vec<&str> = text.split(' ').collect();
            for (index, word) in kept.iter().enumerate() {
                let is_number = word.starts_with(|c: char| c.is_ascii_digit());
                // A number that is alone may be truncated, to show at least that there is one.
                prop_assert!(!is_number || index == 0 || *word == all[index], "{:?} of {:?}", cut, text);
            }
        }

        #[test]
        fn what_is_cut_fits(text in "\\PC{0,40}", width in 0_u16..60, parts in 0_u16..=36, from in 0_u16..60) {
            for cut in [NameCut::Middle(parts), NameCut::From(from)] {
                prop_assert!(columns_of(&cut_name(&text, width, cut, "…")) <= width);
            }
            prop_assert!(columns_of(&cut_end(&text, width, "…")) <= width);
        }
    }
}

//! The widths of the columns of a list. All lists use the same algorithm, which depends on the content and the
//! available width.

/// A claim of a column for a width. Claims are granted by rank over all columns, the lowest first. A column whose first
/// claim cannot be granted is not shown.
#[derive(Debug, Clone, Copy)]
pub(in crate::tui) struct Claim {
    /// The rank. Claims of the same rank are granted together: all of them completely, or all to the same extent.
    rank: u8,
    /// The claimed width.
    size: Size,
    /// Whether a part of it is useless.
    is_whole: bool,
}

/// A width, in screen columns.
#[derive(Debug, Clone, Copy)]
pub(in crate::tui) enum Size {
    /// This width.
    Of(u16),
    /// The width of the widest cell, with a minimum and a maximum.
    Content(u16, u16),
    /// The width of the widest cell, with a minimum, and a maximum in percent of the list.
    Share(u16, u16),
    /// All available columns.
    All,
}

/// A claim that can only be granted completely.
pub(in crate::tui) const fn whole(rank: u8, size: Size) -> Claim {
    Claim { rank, size, is_whole: true }
}

/// A claim that can be granted in part.
pub(in crate::tui) const fn up_to(rank: u8, size: Size) -> Claim {
    Claim { rank, size, is_whole: false }
}

/// A number: the width of its longest value, at least `least`, or nothing. A truncated number would be wrong.
pub(in crate::tui) const fn number(rank: u8, least: u16) -> Claim {
    whole(rank, Size::Content(least, u16::MAX))
}

/// The properties of a column that determine its width.
#[derive(Debug, Clone, Copy)]
pub(in crate::tui) struct Asks<'c> {
    /// Its claims, ordered by rank.
    pub(in crate::tui) claims: &'c [Claim],
    /// The width of its widest cell.
    pub(in crate::tui) content: u16,
    /// Whether its first claim has priority over all others.
    pub(in crate::tui) comes_first: bool,
}

/// The widths of columns in a list of `room` screen columns, in order. 0 means that a column is not shown. There is one
/// blank between two columns, and the sum never exceeds `room`.
pub(in crate::tui) fn widths(columns: &[Asks<'_>], room: u16) -> Vec<u16> {
    let mut widths = vec![0; columns.len()];
    // There is no blank after the last column.
    let mut left = room.saturating_add(1);
    let mut claims: Vec<(u8, usize, usize, Claim)> = Vec::new();
    for (at, column) in columns.iter().enumerate() {
        for (index, claim) in column.claims.iter().enumerate() {
            let rank = if index == 0 && column.comes_first { 0 } else { claim.rank.saturating_add(1) };
            claims.push((rank, at, index, *claim));
        }
    }
    claims.sort_by_key(|(rank, at, index, _)| (*rank, *index > 0, *at));
    for together in claims.chunk_by(|a, b| (a.0, a.2 > 0) == (b.0, b.2 > 0)) {
        grant(columns, together, room, &mut widths, &mut left);
    }
    widths
}

/// Grants the claims of one rank.
fn grant(columns: &[Asks<'_>], claims: &[(u8, usize, usize, Claim)], room: u16, widths: &mut [u16], left: &mut u16) {
    // The column, its growth, and the blank after it if it is new.
    let mut wanted: Vec<(usize, u16, u16)> = Vec::new();
    for (_, at, index, claim) in claims {
        let (Some(column), Some(width)) = (columns.get(*at), widths.get(*at)) else { continue };
        if *index > 0 && *width == 0 {
            continue;
        }
        let size = claim.size.columns(column.content, room);
        let gap = u16::from(*width == 0);
        if size > *width {
            wanted.push((*at, size - *width, gap));
        }
    }
    let all = wanted.iter().fold(0_u16, |sum, (_, by, gap)| sum.saturating_add(*by).saturating_add(*gap));
    if all > *left && claims.iter().any(|(_, _, _, claim)| claim.is_whole) {
        // First claims are granted one by one, because a narrower column may fit where a wider one does not.
        if claims.iter().any(|(_, _, index, _)| *index > 0) {
            return;
        }
        for (at, by, gap) in wanted {
            add(widths, left, at, by, gap);
        }
        return;
    }
    // The smallest claim comes first, so that the others can use what it leaves.
    wanted.sort_by_key(|(_, by, _)| *by);
    let mut others = u16::try_from(wanted.len()).unwrap_or(u16::MAX);
    let mut most = u16::MAX;
    for (at, by, gap) in wanted {
        let part = (*left / others.max(1)).saturating_sub(gap).min(most);
        if part < by {
            most = part;
        }
        add(widths, left, at, part.min(by), gap);
        others = others.saturating_sub(1);
    }
}

fn add(widths: &mut [u16], left: &mut u16, at: usize, by: u16, gap: u16) {
    if let Some(width) = widths.get_mut(at)
        && by > 0
        && by.saturating_add(gap) <= *left
    {
        *width += by;
        *left -= by + gap;
    }
}

impl Size {
    fn columns(self, content: u16, room: u16) -> u16 {
        match self {
            Self::Of(columns) => columns,
            Self::Content(least, most) => content.clamp(least, most),
            Self::Share(least, percent) => {
                let most = u32::from(room) * u32::from(percent) / 100;
                content.min(u16::try_from(most).unwrap_or(u16::MAX)).max(least)
            }
            Self::All => room,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAME: &[Claim] =
        &[whole(1, Size::Content(6, 8)), up_to(5, Size::Share(6, 60)), up_to(9, Size::Content(6, u16::MAX))];
    const STATE: &[Claim] = &[whole(0, Size::Of(1)), whole(3, Size::Of(9))];
    const GAUGE: &[Claim] = &[whole(2, Size::Of(4)), up_to(7, Size::Of(15))];
    const AGE: &[Claim] = &[number(4, 3)];
    const REST: &[Claim] = &[up_to(6, Size::Content(1, u16::MAX)), up_to(10, Size::All)];

    fn check(name: u16, note: u16, room: u16, expected: [u16; 6]) {
        let asks = [(STATE, 9), (NAME, name), (GAUGE, 0), (GAUGE, 0), (AGE, 3), (REST, note)];
        let asks = asks.map(|(claims, content)| Asks { claims, content, comes_first: false });
        assert_eq!(widths(&asks, room), expected, "{name} {note} {room}");
    }

    #[test]
    fn names_have_the_free_room_first_and_columns_go_by_their_rank() {
        check(8, 5, 79, [9, 8, 15, 15, 3, 24]);
        check(8, 5, 60, [9, 8, 15, 15, 3, 5]);
        check(8, 5, 57, [9, 8, 13, 13, 3, 6]);
        // A long name takes space from the bars, not from the numbers.
        check(40, 0, 79, [9, 40, 10, 10, 3, 2]);
        check(100, 0, 79, [9, 47, 7, 7, 3, 1]);
        check(100, 0, 200, [9, 100, 15, 15, 3, 53]);
        check(8, 5, 30, [9, 8, 4, 4, 0, 1]);
        check(8, 5, 10, [1, 8, 0, 0, 0, 0]);
        check(8, 5, 1, [1, 0, 0, 0, 0, 0]);
        check(8, 5, 0, [0; 6]);
    }

    #[test]
    fn the_column_that_comes_first_is_there_in_any_room() {
        let asks = [(NAME, false), (STATE, false), (AGE, true)];
        let asks = asks.map(|(claims, comes_first)| Asks { claims, content: 4, comes_first });
        assert_eq!(widths(&asks, 4), [0, 0, 4]);
    }

    #[test]
    fn a_number_is_whole_or_left_out() {
        let asks = |content| [Asks { claims: AGE, content, comes_first: false }];
        assert_eq!((widths(&asks(7), 7), widths(&asks(7), 6)), (vec![7], vec![0]));
    }

    proptest! {
        #[test]
        fn widths_never_exceed_the_room(contents in prop::collection::vec(0_u16..300, 6), room in 0_u16..400) {
            let claims = [STATE, NAME, GAUGE, GAUGE, AGE, REST];
            let asks: Vec<_> = claims
                .into_iter()
                .zip(&contents)
                .map(|(claims, content)| Asks { claims, content: *content, comes_first: false })
                .collect();
            let widths = widths(&asks, room);
            let shown = widths.iter().filter(|width| **width > 0).count();
            let taken = widths.iter().map(|width| usize::from(*width)).sum::<usize>() + shown.saturating_sub(1);
            prop_assert!(taken <= usize::from(room), "{widths:?}");
            // If there is only space for one of them, it is the first.
            prop_assert!(widths[2] == widths[3] || widths[3] == 0, "{widths:?}");
            prop_assert!(widths[4] == 0 || widths[4] >= contents[4]);
        }
    }
}

//! The selected items of the lists, which are found again after the rows have changed.

use uuid::Uuid;

use crate::fleet::alerts::AlertView;

/// The selected items, each with its last row.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept {
    pub(super) alert: Option<(usize, AlertView)>,
    pub(super) pane_alert: Option<(usize, AlertView)>,
    pub(super) mail: Option<(usize, Uuid)>,
}

/// The row of the selected item in `rows`: where the `kept` item is now, unless the operator has selected another row.
pub(super) fn stay<T, K>(row: usize, kept: Option<&(usize, K)>, rows: &[T], is_same: impl Fn(&T, &K) -> bool) -> usize {
    let moved = kept.filter(|(at, key)| *at == row && !rows.get(row).is_some_and(|item| is_same(item, key)));
    let found = moved.and_then(|(_, key)| rows.iter().position(|item| is_same(item, key)));
    found.unwrap_or(row).min(rows.len().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_selected_row_is_where_its_item_is_unless_another_was_selected() {
        for (row, kept, rows, expected) in [
            (1, Some((1, 'b')), "abc", 1),
            (1, Some((1, 'b')), "xabc", 2),
            (1, Some((1, 'b')), "bc", 0),
            (2, Some((1, 'b')), "xabc", 2),
            (1, Some((1, 'b')), "xy", 1),
            (1, Some((1, 'b')), "x", 0),
            (1, Some((1, 'b')), "", 0),
            (7, None, "abc", 2),
        ] {
            let rows: Vec<char> = rows.chars().collect();
            assert_eq!(stay(row, kept.as_ref(), &rows, |item, key| item == key), expected, "{row} {kept:?} {rows:?}");
        }
    }
}

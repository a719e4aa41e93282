//! The columns of the client table display, sort and export the same value.

use std::collections::BTreeSet;

use super::{ClientColumn, Sort, exports};
use crate::{
    fleet::{self, select::sort::Key},
    tui::{
        columns::Cell,
        script::{self, DARK},
    },
};

#[test]
fn every_column_has_headings_that_grow_shorter_or_is_exported_only() {
    for column in ClientColumn::ALL {
        let spec = column.spec();
        assert!(spec.headings.windows(2).all(|pair| pair[0].len() > pair[1].len()), "{column:?}");
        assert!(!spec.headings.is_empty() || !spec.exports.is_empty(), "{column:?}");
    }
}

#[test]
fn exported_names_are_a_contract() {
    let names: Vec<_> = exports().map(|export| export.name).collect();
    assert_eq!(
        names,
        [
            "name",
            "ip",
            "port",
            "state",
            "error",
            "cpu_percent",
            "memory_percent",
            "swap_percent",
            "disk_percent",
            "load_per_core",
            "uptime_seconds",
            "duration_ms",
            "collected_at",
            "full_in_days",
            "disk_outlook",
        ]
    );
}

#[test]
fn sorting_steps_through_every_sortable_column_and_the_configuration() {
    let mut sort = Sort::default();
    let mut words = BTreeSet::new();
    let sortable = ClientColumn::ALL.iter().filter(|column| column.spec().sort.is_some()).count();
    for _ in 0..=sortable {
        assert!(words.insert(sort.word()), "{} comes twice", sort.word());
        sort = sort.next();
    }
    assert_eq!((sort, words.contains("config")), (Sort::default(), true));
    for _ in 0..=sortable {
        assert_eq!(sort.next().previous(), sort);
        assert_eq!(sort.previous().next(), sort);
        sort = sort.previous();
    }
    assert_eq!(sort, Sort::default());
}

/// If a column shows a number, it sorts by and exports the same number, except for rounding.
#[test]
fn a_number_is_shown_sorted_and_exported_alike() {
    let mut model = script::model(40, (200, 60), DARK);
    model.prepare();
    let context = model.context(DARK);
    let mut compared = 0;
    for client in model.listed() {
        for column in ClientColumn::ALL {
            let spec = column.spec();
            let shown = match (spec.cell)(client, &context) {
                Cell::Gauge { percent, .. } => percent,
                Cell::Text(text, _) | Cell::Name(text, _) => text.trim_end_matches('%').parse().ok(),
                Cell::Wordings(..) | Cell::Bars { .. } => None,
            };
            let (Some(shown), Some(order), [export]) = (shown, &spec.sort, spec.exports) else { continue };
            let Key::Number(sorted) = (order.key)(client) else { panic!("{column:?} is not sorted by its number") };
            let exported = match (export.value)(client, &context) {
                fleet::cell::Cell::Real(number) => number,
                fleet::cell::Cell::Integer(_) | fleet::cell::Cell::Text(_) | fleet::cell::Cell::Null => continue,
            };
            assert!((shown - sorted).abs() <= 0.5, "{column:?}: shows {shown}, sorts {sorted}");
            assert!((sorted - exported).abs() < 1e-9, "{column:?}: sorts {sorted}, exports {exported}");
            compared += 1;
        }
    }
    assert!(compared > 100, "{compared} numbers were compared");
}

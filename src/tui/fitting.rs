//! Tests of names, numbers and percentages on small and large screens: complete screens, and properties that hold for
//! all of them.

use std::{collections::BTreeSet, sync::Arc};

use proptest::prelude::*;
use ratatui::{buffer::Buffer, layout::Rect};
use unicode_width::UnicodeWidthStr as _;

use super::{
    Look, Message, Model,
    columns::{Align, Cell, clients::ClientColumn},
    paint::{painted, press, row, rows, shown},
    script::{self, ASCII, DARK, MONO},
};
use crate::fleet::{
    Event, EventKind, Failure, FailureKind, Metric, Stage,
    alert::{Exceeded, HoldReason, Notice, Step},
    event::ClientCard,
    metric::Instance,
    stream::Frame,
};

fn tell(model: &mut Model, client: Option<usize>, kind: EventKind) {
    let event = Event { at: script::now(), sweep: Some(script::SWEEP), client: client.map(script::id), kind };
    model.update(Message::Frames(vec![Frame::Event(Arc::new(event))]));
}

/// The scripted fleet with other names.
fn named(names: &[String], size: (u16, u16), look: Look) -> Model {
    let mut model = script::model(names.len(), size, look);
    let card = |(card, name): (ClientCard, &String)| ClientCard { name: name.clone(), ..card };
    let clients = script::cards(names.len()).into_iter().zip(names).map(card).collect();
    tell(&mut model, None, EventKind::Configured { clients });
    model
}

/// Names of 1, 40 and 100 characters, of wide letters, of emoji and with combining marks. They differ at their ends.
fn names(count: usize) -> Vec<String> {
    let name = |n: usize| match n % 6 {
        0 => char::from(b'a' + u8::try_from(n / 6 % 26).unwrap()).to_string(),
        1 => format!("refuses-every-login-of-the-front-rack-{:02}", n % 100),
        2 => format!("a-name-{}-{n:03}", "that-goes-on-and-on-".repeat(5).get(..89).unwrap()),
        3 => format!("数据库服务器东京第二机房-{n:02}"),
        4 => format!("🚀👩\u{200d}👩\u{200d}👧\u{200d}👦-node-{n:02}"),
        _ => format!("e\u{301}cole-te\u{301}le\u{301}com-{n:02}"),
    };
    (0..count).map(name).collect()
}

fn check(name: &str, size: (u16, u16), look: Look, keys: &str) {
    let mut model = named(&names(24), size, look);
    press(&mut model, keys);
    insta::assert_snapshot!(name, shown(&mut model, false));
}

#[test]
fn names_of_all_kinds_at_all_sizes() {
    for (width, height) in [(80, 24), (100, 30), (109, 30), (120, 40), (200, 60), (300, 100)] {
        check(&format!("names-{width}x{height}"), (width, height), DARK, "");
    }
    check("names-100x30-ascii", (100, 30), ASCII, "");
    for (view, keys) in [("alerts", "2"), ("mails", "3"), ("log", "4"), ("details", "\n")] {
        for (width, height) in [(80, 24), (200, 60)] {
            check(&format!("names-{view}-{width}x{height}"), (width, height), DARK, keys);
        }
    }
}

#[test]
fn a_small_fleet_leaves_its_rows_to_its_alerts() {
    let mut model = script::model(12, (200, 60), DARK);
    for n in 0..60 {
        let raised_at = script::before(60_000 * (100 - n));
        let alert = |step, notice| EventKind::Alert {
            metric: Metric::Cpu,
            instance: Instance::HOST,
            limit: 90.0,
            value: 97.0,
            raised_at,
            step,
            notice,
        };
        let hold = Notice::Hold(HoldReason::NoRecipient);
        tell(&mut model, Some(usize::try_from(n).unwrap() % 12), alert(Step::Raised, hold));
        tell(&mut model, Some(usize::try_from(n).unwrap() % 12), alert(Step::Resolved, hold));
    }
    insta::assert_snapshot!("small-fleet-200x60", shown(&mut model, false));
}

/// A fleet in which one client in `every` failed.
fn failing(count: usize, every: usize, size: (u16, u16), look: Look) -> Model {
    let mut model = script::model(count, size, look);
    for n in 0..count {
        let (collection, duration_ms, attempts, alerts) = (uuid::Uuid::nil(), 900, 1, Vec::new());
        let failure = Failure::new(Stage::Connect, FailureKind::Refused);
        let kind = if n % every == 0 || (600..700).contains(&n) {
            EventKind::CollectionFailed { collection, duration_ms, attempts, failure, alerts }
        } else {
            let exceeded = Exceeded { metric: Metric::Cpu, instance: Instance::HOST, limit: 90.0, value: 97.0 };
            let alerts = if n % 100 > 90 { vec![exceeded] } else { alerts };
            EventKind::Collected { collection, duration_ms, attempts, reading: script::reading(n), alerts }
        };
        tell(&mut model, Some(n), kind);
    }
    model
}

#[test]
fn the_map_of_a_large_fleet_shows_shares() {
    for (name, look) in [("dark", DARK), ("mono", MONO), ("ascii", ASCII)] {
        for (width, height) in [(80, 24), (120, 40)] {
            let mut model = failing(2000, 9, (width, height), look);
            let text = shown(&mut model, false);
            let map: Vec<_> = text.lines().skip(2).take(usize::from(height / 6)).collect();
            insta::assert_snapshot!(format!("map-{width}x{height}-{name}"), map.join("\n"));
        }
    }
}

/// With 4 of a thousand failed clients, nearly every cell had a cross before.
#[test]
fn few_failures_among_many_clients_are_few_marks_on_the_map() {
    let mut model = failing(5000, 250, (120, 40), DARK);
    for n in 600..700 {
        let (collection, duration_ms, attempts, alerts) = (uuid::Uuid::nil(), 900, 1, Vec::new());
        let kind = EventKind::Collected { collection, duration_ms, attempts, reading: script::reading(n), alerts };
        tell(&mut model, Some(n), kind);
    }
    let screen = rows(&painted(&mut model));
    let map: String = screen.iter().skip(3).take(5).flat_map(|row| row.chars()).collect();
    assert!(!map.contains('✗'), "{map}");
    let failed = map.chars().filter(|c| ('▁'..='▇').contains(c)).count();
    assert_eq!(failed, 20, "{map}");
}

#[test]
fn the_strip_keeps_failures_and_alerts_in_any_width() {
    for width in 46..=140 {
        let mut model = script::model(500, (width, 24), DARK);
        let screen = rows(&painted(&mut model));
        let strip = &screen[1];
        assert!(strip.contains("alerts 3") || strip.ends_with("! 3"), "{width}: {strip}");
        assert!(strip.contains("failed 10") || strip.contains("✗ 10"), "{width}: {strip}");
    }
}

#[test]
fn the_time_until_the_next_sweep_is_told_at_rest() {
    let mut model = script::model(12, (120, 40), DARK);
    tell(&mut model, None, EventKind::SweepEnded { number: 128, duration_ms: 58_000, ok: 7, failed: 5 });
    let first_row = |model: &mut Model| rows(&painted(model)).swap_remove(0);
    // It began a minute ago, and there is one every five minutes.
    assert!(first_row(&mut model).contains("next sweep in 4:00"), "{}", first_row(&mut model));
    // The last tick was before the sweep began.
    model.update(Message::Tick(script::before(61_500)));
    assert!(first_row(&mut model).contains("next sweep in 5:00"), "{}", first_row(&mut model));
    model.update(Message::Tick(script::before(-239_500)));
    assert!(first_row(&mut model).contains("next sweep in 0:01"), "{}", first_row(&mut model));
    tell(&mut model, None, EventKind::SchedulePaused { paused: true, actor: "ops".to_owned() });
    assert!(!first_row(&mut model).contains("next sweep"), "{}", first_row(&mut model));
}

/// A cell that is covered by a wide character, or outside of the screen.
fn misplaced(buffer: &Buffer) -> Option<String> {
    let area: Rect = buffer.area;
    for y in 0..area.height {
        let mut x = 0;
        while x < area.width {
            let symbol = buffer[(x, y)].symbol();
            let wide = u16::try_from(symbol.width()).unwrap().max(1);
            if x + wide > area.width {
                return Some(format!("{symbol:?} at {x},{y} goes over the edge"));
            }
            if let Some(covered) = (x + 1..x + wide).find(|x| buffer[(*x, y)].symbol().trim() != "") {
                return Some(format!("{symbol:?} at {x},{y} covers {:?}", buffer[(covered, y)].symbol()));
            }
            x += wide;
        }
    }
    None
}

/// The heading of the table and its visible rows.
fn table(model: &mut Model) -> (String, Vec<String>) {
    let buffer = painted(model);
    let layout = model.layout();
    let row = |y: u16| row(&buffer, y, layout.table.width);
    let first = layout.table.y + layout.table_head();
    (row(first - 1), (first..layout.table.bottom()).map(row).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_row_is_as_wide_as_the_screen(
        width in 1_u16..=300,
        height in 1_u16..=100,
        keys in prop_oneof![Just(""), Just("2"), Just("3"), Just("4"), Just("\n"), Just("3\n"), Just("f"), Just("?")],
        look in prop_oneof![Just(DARK), Just(ASCII)],
    ) {
        let mut model = named(&names(12), (width, height), look);
        press(&mut model, keys);
        let buffer = painted(&mut model);
        prop_assert_eq!((buffer.area.width, buffer.area.height), (width, height));
        prop_assert_eq!(misplaced(&buffer), None);
    }

    /// A visible column of numbers shows complete numbers.
    #[test]
    fn no_number_is_cut(width in 20_u16..=300, sorted in 0_usize..8, long in any::<bool>()) {
        let names = if long { names(12) } else { (0..12).map(script::name).collect() };
        let mut model = named(&names, (width, 40), DARK);
        press(&mut model, &"s".repeat(sorted));
        let (heading, rows) = table(&mut model);
        let context = model.context(DARK);
        for column in ClientColumn::ALL {
            let spec = column.spec();
            let is_shown = spec.headings.iter().any(|text| heading.split_whitespace().any(|word| word == *text));
            if spec.align != Align::Right || !is_shown {
                continue;
            }
            for (client, row) in model.listed().zip(&rows) {
                let Cell::Text(number, _) = (spec.cell)(client, &context) else { continue };
                prop_assert!(row.split_whitespace().any(|word| word == number), "{:?} {}: {}", column, number, row);
            }
        }
    }

    /// From the width of a common terminal on, clients can be distinguished.
    #[test]
    fn names_that_differ_are_shown_differently(
        before in "[a-z-]{0,50}", after in "[a-z-]{0,50}", width in 40_u16..=200,
    ) {
        let names: Vec<_> = (0..10).map(|n| format!("{before}{n}{after}")).collect();
        let mut model = named(&names, (width, 40), DARK);
        press(&mut model, "s");
        let (heading, rows) = table(&mut model);
        let (from, to) = (heading.find("CLIENT").unwrap(), heading.find("CPU").unwrap());
        let name = |row: &String| row.chars().skip(from).take(to - from).collect();
        let cells: BTreeSet<String> = rows.iter().take(10).map(name).collect();
        prop_assert_eq!(cells.len(), 10, "{:?}", rows);
    }
}

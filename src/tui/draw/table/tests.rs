//! Loads and disks in the client table, now and in the past.

use std::sync::Arc;

use crate::{
    fleet::{
        Event, EventKind, Metric, Percent, Reading, Sample,
        metric::{Observed, Values},
        stream::Frame,
    },
    tui::{
        Answer, Message, Model,
        columns::clients::ClientColumn,
        paint::{painted, press, rows},
        script::{self, DARK},
    },
};

/// A fleet whose clients have these loads and numbers of cores.
fn loaded(loads: &[(f64, usize)]) -> Model {
    let mut model = script::model(loads.len(), (200, 40), DARK);
    for (n, (load, cores)) in loads.iter().enumerate() {
        let cores = vec![Percent::new(1.0).unwrap(); *cores];
        let reading = Box::new(Reading { load: Some([*load, 0.0, 0.0]), cores, ..*script::reading(n) });
        let (collection, duration_ms, attempts) = (uuid::Uuid::nil(), 900, 1);
        let kind = EventKind::Collected { collection, duration_ms, attempts, reading, alerts: Vec::new() };
        let event = Event { at: script::now(), sweep: Some(script::SWEEP), client: Some(script::id(n)), kind };
        model.update(Message::Frames(vec![Frame::Event(Arc::new(event))]));
    }
    model
}

/// The row of a client that was collected.
fn row_of(model: &mut Model, n: usize) -> String {
    let name = script::name(n);
    let screen = rows(&painted(model));
    let is_row = |row: &&String| row.chars().take(30).collect::<String>().contains(&name) && row.contains(" ok ");
    screen.iter().find(is_row).cloned().unwrap_or_default()
}

#[test]
fn load_is_shown_sorted_and_filtered_per_core() {
    // The first one has the higher load but the lower load per core.
    let mut model = loaded(&[(8.0, 16), (3.0, 2)]);
    assert!(rows(&painted(&mut model)).iter().any(|row| row.contains("LOAD/CORE")));
    for (n, shown) in [(0, " 0.50 "), (1, " 1.50 ")] {
        let row = row_of(&mut model, n);
        assert!(row.contains(shown), "{row}");
    }
    while model.view.sort.word() != "load/core" {
        press(&mut model, "s");
    }
    model.prepare();
    assert_eq!(model.rows, [script::id(1), script::id(0)]);
    press(&mut model, "/load>1\n");
    model.prepare();
    assert_eq!(model.rows, [script::id(1)]);
}

#[test]
fn the_past_shows_disk_use_although_the_file_systems_are_gone() {
    let mut model = script::model(3, (200, 40), DARK);
    press(&mut model, "←");
    let sweeps = script::sweeps(1);
    model.update(script::listed(script::NEWEST_SWEEPS, &sweeps));
    let mut past = script::past(&sweeps[0], 3);
    let reading = Reading { file_systems: Vec::new(), ..*script::reading(1) };
    let mut sample = Sample::measure(Observed::reading(&reading));
    sample.set(Metric::Disk, Values::Host(73.0));
    let sweep = sweeps[0].clone();
    let mut remembered = script::remembered(1);
    remembered.reading = Some((script::now(), Box::new(reading)));
    remembered.sample = Some(sample);
    *past = crate::fleet::state::Fleet::past(
        sweep.clone(),
        &script::cards(3),
        crate::fleet::history::StoredHistory { clients: vec![remembered], alerts: Vec::new() },
    );
    model.update(Message::Answer(Answer::Past { sweep: sweep.id, fleet: past, unreadable: 0 }));
    let row = row_of(&mut model, 1);
    assert!(row.contains(" 73% "), "{row}");
    press(&mut model, "/disk=73\n");
    model.prepare();
    assert_eq!(model.rows, [script::id(1)]);
}

#[test]
fn the_sorted_column_is_always_shown_and_its_arrow_tells_the_direction() {
    for width in [30, 40, 60, 80, 110, 120, 200] {
        let mut model = script::model(40, (width, 40), DARK);
        for _ in 0..9 {
            press(&mut model, ">");
            let Some(column) = model.view.sort.by else { continue };
            // Names begin with the first letter. In all other columns, values that need attention come first: the highest,
            // but of days that are left the fewest.
            let grows = matches!(column, ClientColumn::Name | ClientColumn::FullIn);
            let [first, reversed] = if grows { ["▴", "▾"] } else { ["▾", "▴"] };
            for (keys, arrow) in [("", first), ("S", reversed)] {
                press(&mut model, keys);
                let table = model.layout().table;
                let screen = rows(&painted(&mut model));
                let heading: String = screen[usize::from(table.y) + 1].chars().take(usize::from(table.width)).collect();
                let before = heading.split_once(arrow).map(|(before, _)| before.trim_end());
                let is_named = |text: &&str| before.is_some_and(|before| before.ends_with(*text));
                let shown = if width < 60 { before.is_some() } else { column.spec().headings.iter().any(is_named) };
                assert!(shown, "{column:?} at {width}: {heading}");
            }
            press(&mut model, "S");
        }
    }
}

#[test]
fn the_column_to_sort_by_is_chosen_to_either_side() {
    let mut model = script::model(40, (120, 40), DARK);
    let mut words = Vec::new();
    for _ in 0..4 {
        words.push(model.view.sort.word());
        press(&mut model, ">");
    }
    assert_eq!(words, ["severity", "name", "cpu", "memory"]);
    press(&mut model, "S<<");
    assert_eq!((model.view.sort.word(), model.view.sort.reversed), ("cpu", false));
    press(&mut model, "<<<");
    assert_eq!(model.view.sort.word(), "config");
}

//! Draws the details of a client. The content of the rows is in the modules below.

use ratatui::{layout::Rect, style::Modifier};

use super::canvas::Canvas;
use crate::{
    fleet::{Phase, state::ClientView},
    tui::{
        format::plural,
        model::Model,
        text::{BALANCED, columns_of, cut_name},
        theme::Role,
        view::Place,
    },
};

mod collection;
mod machine;
mod row;

use row::{List, Row, put};

/// The details with their title.
pub(super) fn pane(canvas: &mut Canvas<'_>, model: &Model, area: Rect, focused: bool) {
    let (strong, dim) = (canvas.style(Role::Strong), canvas.style(Role::Dim));
    let Some(client) = model.selected() else {
        canvas.title(area, &[("Details", strong)], &[]);
        canvas.text(area.x + 1, area.y + 1, area.width, "No client is selected.", dim);
        return;
    };
    let name = if focused { canvas.style(Role::Accent).add_modifier(Modifier::BOLD) } else { strong };
    let phase = Phase::of(client);
    let state = format!("{} {}", canvas.look().phase_glyph(phase), phase.word());
    let attempts = match (&client.running, &client.last) {
        (Some(running), _) => format!(" · attempt {}", running.attempt),
        (None, Some(last)) => format!(" · {} attempt{}", last.attempts, if last.attempts == 1 { "" } else { "s" }),
        (None, None) => String::new(),
    };
    let filter = match model.view.detail_filter.text.as_str() {
        text if !text.is_empty() && model.view.place() == Place::Details => format!(" · filter: {text}"),
        _ => String::new(),
    };
    // The state remains visible next to a long name.
    let others = [&state, &attempts, &filter].map(|text| columns_of(text)).iter().sum::<u16>();
    let room = area.width.saturating_sub(others + 7).max(6);
    let shown = cut_name(&client.card.name, room, BALANCED, canvas.glyphs().more);
    let title = [(&*shown, name), (filter.as_str(), dim)];
    canvas.title(area, &title, &[(&state, canvas.look().phase_style(phase)), (&attempts, dim)]);
    let mut inner = Rect {
        x: area.x + 2,
        y: area.y + 1,
        width: area.width.saturating_sub(3),
        height: area.height.saturating_sub(1),
    };
    let mut rows = rows(canvas, model, client, inner);
    let words = &model.view.detail_filter.words;
    if model.view.place() == Place::Details && !words.is_empty() {
        rows.retain(|row| row.text().is_some_and(|text| words.meets(&[("", text)])));
    }
    let height: usize = rows.iter().map(|row| usize::from(row.height())).sum();
    let has_more = height > usize::from(inner.height);
    // The last row shows how many follow.
    inner.height = inner.height.saturating_sub(u16::from(has_more));
    let hidden = height.saturating_sub(usize::from(inner.height));
    let mut skip = model.view.detail_top.min(hidden);
    let mut y = inner.y;
    for row in &rows {
        if skip >= usize::from(row.height()) {
            skip -= usize::from(row.height());
            continue;
        }
        skip = 0;
        let room = inner.bottom().saturating_sub(y);
        if room == 0 {
            break;
        }
        put(canvas, row, Rect { y, height: row.height().min(room), ..inner });
        y += row.height();
    }
    let below = hidden.saturating_sub(model.view.detail_top);
    if has_more && below > 0 {
        let more = format!("{below} more row{} below", plural(below));
        canvas.text_before(area.right().saturating_sub(1), inner.bottom(), inner.width, &more, dim);
    }
}

fn rows<'m>(canvas: &Canvas<'_>, model: &'m Model, client: &'m ClientView, area: Rect) -> Vec<Row<'m>> {
    let mut list = List { rows: Vec::new(), canvas };
    let now = model.shown_at();
    let reading = client.reading.as_ref().map(|(_, reading)| &**reading);
    collection::identity(&mut list, client, reading, area.width);
    list.blank();
    collection::timeline(&mut list, client, now);
    if let Some(failure) = client.running.as_ref().map_or(client.failure(), |running| running.failed_before.as_ref()) {
        let heading = if client.running.is_some() { "last error" } else { "error" };
        list.blank();
        collection::error(&mut list, heading, failure, area.width);
    }
    machine::charts(&mut list, model, client, area);
    if let Some(reading) = reading {
        machine::machine(&mut list, model, client, reading, area.width);
        if !reading.warnings.is_empty() {
            list.blank();
            list.text(Role::Dim, "warnings".to_owned());
            for warning in &reading.warnings {
                list.text(Role::Warning, format!("! {warning}"));
            }
        }
    }
    if let Some((_, events)) = model.events.as_ref().filter(|(id, events)| *id == client.card.id && !events.is_empty())
        && !model.is_past()
    {
        machine::security_events(&mut list, events, now);
    }
    list.rows
}

//! The details of a collection: its client, its stages, its error.

use jiff::Timestamp;
use ratatui::text::{Line, Span as Piece};

use super::row::{List, Row, StageState};
use crate::{
    fleet::{Failure, Reading, Stage, state::ClientView},
    tui::{format, text::columns_of, theme::Role},
};

/// Account, address and system, in one row if they fit.
pub(super) fn identity(list: &mut List<'_, '_, '_>, client: &ClientView, reading: Option<&Reading>, width: u16) {
    let mut text = format!("{}@{}", client.card.username, client.card.id);
    for fact in reading.iter().flat_map(|reading| [&reading.os_version, &reading.architecture]).flatten() {
        if columns_of(&text) + 3 + columns_of(fact) > width {
            list.text(Role::Dim, std::mem::take(&mut text));
        } else {
            text.push_str(" · ");
        }
        text.push_str(fact);
    }
    list.text(Role::Dim, text);
}

/// The stages of the current collection, otherwise of the last one.
pub(super) fn timeline(list: &mut List<'_, '_, '_>, client: &ClientView, now: Timestamp) {
    let (stages, end, failed) = match (&client.running, &client.last) {
        (Some(running), _) => (&running.stages, now, None),
        (None, Some(last)) => (&last.stages, last.at, last.failure.as_ref().map(|failure| failure.stage)),
        (None, None) => {
            list.text(Role::Dim, "Not collected yet.".to_owned());
            return;
        }
    };
    let ms = |at: Timestamp| at.as_millisecond() as f64;
    let active = stages.iter().filter(|(stage, _)| *stage != Stage::Queued && *stage != Stage::Done);
    let Some(begin) = active.clone().next().map(|(_, at)| *at) else {
        let text = match (&client.running, &client.last) {
            (Some(_), _) => "Waiting for a free slot.".to_owned(),
            (None, Some(last)) => {
                let ago = format::since(last.at, now);
                format!("Collected in {}, {ago} ago. Its stages were not recorded.", format::took(last.duration_ms))
            }
            (None, None) => String::new(),
        };
        list.text(Role::Dim, text);
        return;
    };
    let whole = (ms(end) - ms(begin)).max(1.0);
    let active: Vec<_> = active.collect();
    for stage in Stage::ALL {
        let word = match stage {
            Stage::Queued | Stage::Done => continue,
            Stage::Authenticate => "login",
            Stage::Connect | Stage::Upload | Stage::Execute | Stage::Decrypt | Stage::Store => stage.word(),
        };
        let at = active.iter().position(|(known, _)| *known == stage);
        let Some((index, (_, from))) = at.and_then(|index| Some((index, active.get(index)?))) else {
            // A failure is stored, too, but the stages between were not reached.
            let reached =
                failed.map_or_else(|| active.last().is_some_and(|(last, _)| *last > stage), |failed| failed > stage);
            let took = if reached { "not needed" } else { "not reached" };
            if client.running.is_none() {
                let (span, took) = (None, took.to_owned());
                list.rows.push(Row::Stage { word, span, took, state: StageState::NotReached });
            }
            continue;
        };
        let is_last = index + 1 == active.len();
        let to = active.get(index + 1).map_or(end, |(_, at)| *at);
        let state = match (failed, &client.running) {
            (Some(failed), _) if failed == stage => StageState::Failed,
            (_, Some(_)) if is_last => StageState::UnderWay,
            (Some(_) | None, _) => StageState::Passed,
        };
        let span = Some(((ms(*from) - ms(begin)) / whole, (ms(to) - ms(begin)) / whole));
        let took = u64::try_from(to.as_millisecond() - from.as_millisecond()).unwrap_or(0);
        list.rows.push(Row::Stage { word, span, took: format::took(took), state });
    }
}

/// The exact error, its causes, and the next step.
pub(super) fn error(list: &mut List<'_, '_, '_>, heading: &str, failure: &Failure, width: u16) {
    let (dim, bad, accent) =
        (list.canvas.style(Role::Dim), list.canvas.style(Role::Bad), list.canvas.style(Role::Accent));
    let width = usize::from(width);
    list.text(Role::Dim, heading.to_owned());
    list.rows.push(Row::Text(Line::styled(format!("  {}", failure.kind.words()), bad)));
    let corner = list.canvas.glyphs().cause;
    for cause in &failure.causes {
        for (index, line) in format::wrap(cause, width.saturating_sub(4)).into_iter().enumerate() {
            let lead = if index == 0 { corner } else { " " };
            list.text(Role::Text, format!("  {lead} {line}"));
        }
    }
    for (index, line) in format::wrap(failure.kind.next_step(), width.saturating_sub(5)).into_iter().enumerate() {
        let lead = if index == 0 { "try  " } else { "     " };
        list.rows.push(Row::Text(Line::from(vec![Piece::styled(lead, dim), Piece::raw(line)])));
    }
    list.rows.push(Row::Text(Line::from(vec![
        Piece::raw("     "),
        Piece::styled("c", accent),
        Piece::styled(" collect again · ", dim),
        Piece::styled("y", accent),
        Piece::styled(" copy error", dim),
    ])));
}

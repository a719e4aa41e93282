//! Draws the model: a pure function from the model to cells.
//!
//! Text is only written to cells and never to a byte stream, so text from clients cannot contain escape sequences.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{model::Model, view::Tab};

mod alerts;
mod canvas;
mod chart;
mod detail;
mod gauge;
mod header;
pub(super) mod help;
pub(super) mod hit;
mod list;
mod log;
mod mails;
mod map;
mod overlay;
mod palette;
mod past;
mod table;
mod window;

use canvas::Canvas;

/// Draws `model`, which must be prepared ([`Model::prepare`]) for the size of `buffer`.
pub fn draw(model: &Model, buffer: &mut Buffer) {
    if model.size.0 == 0 || model.size.1 == 0 {
        return;
    }
    let layout = model.layout();
    let mut canvas = Canvas::new(buffer, model.look);
    header::line(&mut canvas, model, layout.header);
    if let Some(area) = layout.strip
        && !model.waits_for_past()
    {
        header::strip(&mut canvas, model, area);
    }
    match (model.view.tab, model.view.detail_open) {
        (Tab::Fleet, _) if model.waits_for_past() => past::waiting(&mut canvas, model, layout.body),
        (Tab::Fleet, true) => detail::pane(&mut canvas, model, layout.body, true),
        (Tab::Fleet, false) => {
            if let Some(area) = layout.map {
                map::pane(&mut canvas, model, area);
            }
            table::pane(&mut canvas, model, layout.table);
            if let Some(area) = layout.detail {
                detail::pane(&mut canvas, model, area, model.view.pane == super::view::Pane::Detail);
            }
            if let Some(area) = layout.alerts {
                alerts::pane(&mut canvas, model, area);
            }
        }
        (Tab::Alerts, _) => alerts::history(&mut canvas, model, layout.body),
        (Tab::Mails, _) => mails::page(&mut canvas, model, layout.body),
        (Tab::Log, _) => log::page(&mut canvas, model, layout.body),
    }
    if let Some(area) = layout.hint {
        overlay::hint_line(&mut canvas, model, area);
    }
    overlay::over(&mut canvas, model, Rect { x: 0, y: 0, width: model.size.0, height: model.size.1 });
}

//! Draws the model: a pure function to cells. Nothing here is decided, asked or measured.
//!
//! Text only ever becomes cells, never a byte stream: whatever a client sends, it cannot move the cursor.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{model::Model, view::Tab};

mod alerts;
mod chart;
mod detail;
mod header;
pub mod layout;
mod log;
mod mails;
mod map;
mod overlay;
mod pen;
mod table;
mod words;

use layout::Layout;
use pen::Pen;

/// Draws `model`, which must be prepared ([`Model::prepare`]) for the size of `buffer`.
pub fn draw(model: &Model, buffer: &mut Buffer) {
    if model.size.0 == 0 || model.size.1 == 0 {
        return;
    }
    let layout = Layout::of(model);
    let mut pen = Pen::new(buffer, model.look);
    header::line(&mut pen, model, layout.header);
    if let Some(area) = layout.strip {
        header::strip(&mut pen, model, area);
    }
    match (model.view.tab, model.view.detail_open) {
        (Tab::Fleet, true) => detail::pane(&mut pen, model, layout.body, true),
        (Tab::Fleet, false) => {
            if let Some(area) = layout.map {
                map::pane(&mut pen, model, area);
            }
            table::pane(&mut pen, model, layout.table, layout.detail.is_some());
            if let Some(area) = layout.detail {
                detail::pane(&mut pen, model, area, model.view.pane == super::view::Pane::Detail);
            }
            if let Some(area) = layout.alerts {
                alerts::pane(&mut pen, model, area);
            }
        }
        (Tab::Alerts, _) => alerts::history(&mut pen, model, layout.body),
        (Tab::Mails, _) => mails::page(&mut pen, model, layout.body),
        (Tab::Log, _) => log::page(&mut pen, model, layout.body),
    }
    if let Some(area) = layout.hint {
        overlay::hint_line(&mut pen, model, area);
    }
    overlay::over(&mut pen, model, Rect { x: 0, y: 0, width: model.size.0, height: model.size.1 });
}

//! Where everything stands, for any size from 1×1 up. Not what is written there.

use ratatui::layout::Rect;

use super::{map, table};
use crate::{
    fleet::ClientId,
    tui::{
        model::Model,
        view::{Overlay, Tab},
    },
};

/// The places on the screen. Rows that do not fit are `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// The first row.
    pub header: Rect,
    /// The stage strip.
    pub strip: Option<Rect>,
    /// All between strip and hints: what the other views and full details fill.
    pub body: Rect,
    /// The fleet map with its title row.
    pub map: Option<Rect>,
    /// The client table with its title and heading rows.
    pub table: Rect,
    /// The details beside the table.
    pub detail: Option<Rect>,
    /// The alerts with their title row.
    pub alerts: Option<Rect>,
    /// The last row.
    pub hint: Option<Rect>,
}

/// Below this height there are no titles, no map, no alerts.
const FULL_HEIGHT: u16 = 18;

impl Layout {
    /// The places for the model's size.
    #[must_use]
    pub fn of(model: &Model) -> Self {
        let (width, height) = model.size;
        let row = |y: u16| Rect { x: 0, y, width, height: u16::from(y < height) };
        let header = row(0);
        let hint = (height >= 4 || (height >= 2 && model.view.overlay != Overlay::None)).then(|| row(height - 1));
        let strip = (height >= 10).then(|| row(1));
        let top = 1 + u16::from(strip.is_some());
        let bottom = height - u16::from(hint.is_some());
        let body = Rect { x: 0, y: top.min(bottom), width, height: bottom.saturating_sub(top) };
        let (mut map, mut alerts, mut detail) = (None, None, None);
        let mut table = body;
        if height >= FULL_HEIGHT && model.view.tab == Tab::Fleet {
            let most = match height {
                0..30 => 2,
                30..50 => 5,
                _ => 8,
            };
            let rows = map::rows_for(model.shown().clients().count(), width).clamp(1, most);
            let map_height = rows + 1;
            let alert_rows = match height {
                0..30 => 2,
                30..50 => 5,
                _ => 8,
            };
            map = Some(Rect { height: map_height, ..body });
            alerts = Some(Rect { y: bottom - alert_rows - 1, height: alert_rows + 1, ..body });
            table.y = body.y + map_height;
            table.height = body.height.saturating_sub(map_height + alert_rows + 1);
            if width >= 110 {
                let detail_width = (width * 3 / 8).clamp(44, 84);
                table.width = width - detail_width;
                detail = Some(Rect { x: table.width, width: detail_width, ..table });
            }
        }
        Self { header, strip, body, map, table, detail, alerts, hint }
    }

    /// How many rows above the first client the table takes: its title and its heading.
    #[must_use]
    pub fn table_head(&self) -> u16 {
        match self.table.height {
            0..4 => 0,
            4..8 => 1,
            _ => 2,
        }
    }

    /// How many clients the table shows.
    #[must_use]
    pub fn table_rows(&self) -> u16 {
        self.table.height - self.table_head()
    }

    /// The client at a place of the screen.
    pub(crate) fn client_at(&self, model: &Model, column: u16, row: u16) -> Option<ClientId> {
        if model.view.tab != Tab::Fleet || model.view.detail_open {
            return None;
        }
        if let Some(area) = self.map
            && area.contains((column, row).into())
        {
            return map::client_at(model, area, column, row);
        }
        table::client_at(model, self, column, row)
    }

    /// The alert at a place of the screen, counted from the top of the list.
    pub(crate) fn alert_at(&self, model: &Model, column: u16, row: u16) -> Option<usize> {
        let area = if model.view.tab == Tab::Alerts { self.body } else { self.alerts? };
        let inside = area.contains((column, row).into()) && row > area.y;
        (inside && !model.view.detail_open)
            .then(|| usize::from(row - area.y - 1) + super::alerts::top(model, area.height.saturating_sub(1)))
    }
}

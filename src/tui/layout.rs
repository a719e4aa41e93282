//! Where everything stands on the screen, for any size from 1×1 up. Not what is written there.

use ratatui::layout::Rect;

use super::view::Tab;

/// The places on the screen. Rows that do not fit are `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    /// The first row.
    pub(super) header: Rect,
    /// The stage strip.
    pub(super) strip: Option<Rect>,
    /// All between strip and hints: what the other views and full details fill.
    pub(super) body: Rect,
    /// The fleet map with its title row.
    pub(super) map: Option<Rect>,
    /// The client table with its title and heading rows.
    pub(super) table: Rect,
    /// The details beside the table.
    pub(super) detail: Option<Rect>,
    /// The alerts with their title row.
    pub(super) alerts: Option<Rect>,
    /// The last row.
    pub(super) hint: Option<Rect>,
}

/// Below this height there are no titles, no map, no alerts.
const FULL_HEIGHT: u16 = 18;

impl Layout {
    /// The places for a screen of `size` (columns, rows) that shows `tab` and so many clients. `has_overlay`:
    /// something over the view needs the last row.
    #[must_use]
    pub(super) fn of((width, height): (u16, u16), tab: Tab, has_overlay: bool, clients: usize) -> Self {
        let row = |y: u16| Rect { x: 0, y, width, height: u16::from(y < height) };
        let header = row(0);
        let hint = (height >= 4 || (height >= 2 && has_overlay)).then(|| row(height - 1));
        let strip = (height >= 10).then(|| row(1));
        let top = 1 + u16::from(strip.is_some());
        let bottom = height - u16::from(hint.is_some());
        let body = Rect { x: 0, y: top.min(bottom), width, height: bottom.saturating_sub(top) };
        let (mut map, mut alerts, mut detail) = (None, None, None);
        let mut table = body;
        if height >= FULL_HEIGHT && tab == Tab::Fleet {
            let most = match height {
                0..30 => 2,
                30..50 => 5,
                _ => 8,
            };
            let rows = map_rows(clients, width).clamp(1, most);
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
    pub(super) fn table_head(&self) -> u16 {
        match self.table.height {
            0..4 => 0,
            4..8 => 1,
            _ => 2,
        }
    }

    /// How many clients the table shows.
    #[must_use]
    pub(super) fn table_rows(&self) -> u16 {
        self.table.height - self.table_head()
    }
}

/// How many rows the map needs for one cell per client.
fn map_rows(clients: usize, width: u16) -> u16 {
    let cells = usize::from(width.saturating_sub(2)).max(1);
    u16::try_from(clients.div_ceil(cells)).unwrap_or(u16::MAX)
}

//! The layout of the screen, for any size from 1×1 on.

use ratatui::layout::Rect;

use super::view::Tab;

/// The areas of the screen. Areas that do not fit are `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    /// The first row.
    pub(super) header: Rect,
    /// The stage strip.
    pub(super) strip: Option<Rect>,
    /// Everything between strip and hints, for other views and full details.
    pub(super) body: Rect,
    /// The fleet map with its title row.
    pub(super) map: Option<Rect>,
    /// The client table with its title and heading rows.
    pub(super) table: Rect,
    /// The details next to the table.
    pub(super) detail: Option<Rect>,
    /// The alerts with their title row.
    pub(super) alerts: Option<Rect>,
    /// The last row.
    pub(super) hint: Option<Rect>,
}

/// The sizes of the content.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Shown {
    /// How many clients the fleet has.
    pub(super) clients: usize,
    /// The number of alerts in the pane.
    pub(super) alerts: usize,
}

/// From this width on, the details are next to the table.
const DETAIL_FROM: u16 = 110;

/// The number of rows for the most important details.
const DETAIL_ROWS: u16 = 24;

/// The rows of the title and the heading of the table.
const HEAD: u16 = 2;

/// Below this height, there are no titles, no map and no alerts.
const FULL_HEIGHT: u16 = 18;

impl Layout {
    /// The layout for a screen of this size (columns, rows), view and content. `has_overlay` reserves the last row for
    /// an overlay.
    #[must_use]
    pub(super) fn of((width, height): (u16, u16), tab: Tab, has_overlay: bool, shown: Shown) -> Self {
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
            let map_height = map_rows(shown.clients, width).clamp(1, most) + 1;
            let free = body.height.saturating_sub(map_height);
            let has_detail = width >= DETAIL_FROM;
            let alerts_height = alerts_height(height, free, has_detail, shown);
            map = Some(Rect { height: map_height, ..body });
            alerts = Some(Rect { y: bottom - alerts_height, height: alerts_height, ..body });
            table.y = body.y + map_height;
            table.height = free.saturating_sub(alerts_height);
            if has_detail {
                let detail_width = (width * 3 / 8).clamp(44, 120);
                table.width = width - detail_width;
                detail = Some(Rect { x: table.width, width: detail_width, ..table });
            }
        }
        Self { header, strip, body, map, table, detail, alerts, hint }
    }

    /// The number of rows above the first client in the table: its title and its heading.
    #[must_use]
    pub(super) fn table_head(&self) -> u16 {
        match self.table.height {
            0..4 => 0,
            4..8 => 1,
            _ => 2,
        }
    }

    /// The number of clients in the table.
    #[must_use]
    pub(super) fn table_rows(&self) -> u16 {
        self.table.height - self.table_head()
    }
}

/// The height of the alerts with their title: enough for all of them if there is also enough space for the clients,
/// otherwise a part of the screen.
fn alerts_height(height: u16, free: u16, has_detail: bool, shown: Shown) -> u16 {
    let rows = |count: usize| u16::try_from(count).unwrap_or(u16::MAX);
    let part = match height {
        0..30 => 2,
        30..50 => 5,
        _ => 8,
    };
    let clients = rows(shown.clients).saturating_add(HEAD).max(if has_detail { DETAIL_ROWS } else { 0 });
    let most = free.saturating_sub(clients).max(part + 1);
    // Without alerts, there is a row that says so.
    rows(shown.alerts).max(1).saturating_add(1).min(most)
}

/// The number of rows of the map with one cell per client.
fn map_rows(clients: usize, width: u16) -> u16 {
    let cells = usize::from(width.saturating_sub(2)).max(1);
    u16::try_from(clients.div_ceil(cells)).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(size: (u16, u16), clients: usize, alerts: usize, table_rows: u16, alert_rows: u16) {
        let layout = Layout::of(size, Tab::Fleet, false, Shown { clients, alerts });
        let rows = layout.alerts.map(|area| area.height - 1);
        assert_eq!((layout.table_rows(), rows), (table_rows, Some(alert_rows)), "{size:?} {clients} {alerts}");
    }

    #[test]
    fn rows_are_for_what_needs_them() {
        // A large fleet: the alerts get a part of the screen, and no more than they need.
        check((80, 24), 500, 9, 13, 2);
        check((120, 40), 500, 9, 23, 5);
        check((120, 40), 500, 1, 27, 1);
        check((120, 40), 500, 0, 27, 1);
        // A small fleet: the alerts get what the clients leave.
        check((200, 60), 12, 40, 22, 30);
        check((80, 50), 12, 40, 12, 30);
        check((200, 60), 12, 3, 49, 3);
    }
}

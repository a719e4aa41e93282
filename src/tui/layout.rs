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

/// What there is to be shown.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Shown {
    /// How many clients the fleet has.
    pub(super) clients: usize,
    /// How many alerts the pane beneath them lists.
    pub(super) alerts: usize,
}

/// From this width on the details stand beside the table.
const DETAIL_FROM: u16 = 110;

/// How many rows details need for what matters most of them.
const DETAIL_ROWS: u16 = 24;

/// The title and the heading of the table.
const HEAD: u16 = 2;

/// Below this height there are no titles, no map, no alerts.
const FULL_HEIGHT: u16 = 18;

impl Layout {
    /// The places for a screen of `size` (columns, rows) that shows `tab` and so much. `has_overlay`: something over
    /// the view needs the last row.
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

/// How many rows the alerts have with their title: as many as there are alerts, so long as the clients have room for
/// theirs; where both are many, a part of the screen.
fn alerts_height(height: u16, free: u16, has_detail: bool, shown: Shown) -> u16 {
    let rows = |count: usize| u16::try_from(count).unwrap_or(u16::MAX);
    let part = match height {
        0..30 => 2,
        30..50 => 5,
        _ => 8,
    };
    let clients = rows(shown.clients).saturating_add(HEAD).max(if has_detail { DETAIL_ROWS } else { 0 });
    let most = free.saturating_sub(clients).max(part + 1);
    // With none there is a row that says so.
    rows(shown.alerts).max(1).saturating_add(1).min(most)
}

/// How many rows the map needs for one cell per client.
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
        // A large fleet: alerts have their part of the screen, and no more than they need of it.
        check((80, 24), 500, 9, 13, 2);
        check((120, 40), 500, 9, 23, 5);
        check((120, 40), 500, 1, 27, 1);
        check((120, 40), 500, 0, 27, 1);
        // A small one: what its clients leave is for the alerts.
        check((200, 60), 12, 40, 22, 30);
        check((80, 50), 12, 40, 12, 30);
        check((200, 60), 12, 3, 49, 3);
    }
}

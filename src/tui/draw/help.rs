//! The help: all actions by group, then the signs. Uses two columns if the screen is wide enough.

use ratatui::{layout::Rect, style::Modifier, style::Style};

use super::{
    canvas::{Canvas, small},
    window::window,
};
use crate::{
    fleet::Phase,
    tui::{
        action::Action,
        actions::{self, spec::Group},
        model::Model,
        theme::Role,
        view::Overlay,
    },
};

/// From this inner width on, there are two columns.
const TWO_COLUMNS: u16 = 114;

/// The width of one column with the names of the actions; [`WITHOUT_NAMES`] is the width without them.
const WITH_NAMES: u16 = 76;
const WITHOUT_NAMES: u16 = 56;

/// Pieces of text with their roles.
type Line = Vec<(String, Role)>;

/// The page, scrolled by `top` lines, with the search text if there is one.
pub(super) fn page(canvas: &mut Canvas<'_>, model: &Model, screen: Rect, top: usize, search: Option<&str>) {
    let columns = if screen.width >= TWO_COLUMNS + 4 { 2 } else { 1 };
    let room = screen.width.saturating_sub(4) / columns;
    let with_names = columns == 1 || room > WITH_NAMES;
    let width = if with_names { WITH_NAMES } else { WITHOUT_NAMES };
    let blocks = blocks(canvas, model, search.unwrap_or_default(), with_names);
    let (left, right) = if columns == 2 { halves(blocks) } else { (joined(blocks), Vec::new()) };
    let lines = left.len().max(right.len());
    // The last inner row is for the search text.
    let height = small(lines).saturating_add(3).min(screen.height.saturating_sub(2));
    let total = columns * width + 2 * (columns - 1);
    let remark = "arrows scroll, / searches, any other key closes";
    let inner = window(canvas, screen, total + 4, height, "Help", remark);
    let rows = Rect { height: inner.height.saturating_sub(1), ..inner };
    let hidden = lines.saturating_sub(usize::from(rows.height));
    let top = top.min(hidden);
    for (column, lines) in [left, right].iter().enumerate() {
        let x = inner.x + small(column) * (width + 2);
        for (y, line) in (rows.y..rows.bottom()).zip(lines.iter().skip(top)) {
            let pieces: Vec<_> = line.iter().map(|(text, role)| (text.as_str(), canvas.style(*role))).collect();
            canvas.pieces(x, y, width.min(inner.right().saturating_sub(x)), &pieces);
        }
    }
    if inner.height > 0 {
        last_row(canvas, Rect { y: rows.bottom(), height: 1, ..inner }, search, (lines == 0, hidden - top));
    }
}

/// The search text, and the number of lines below.
fn last_row(canvas: &mut Canvas<'_>, area: Rect, search: Option<&str>, (is_empty, below): (bool, usize)) {
    let (dim, accent) = (canvas.style(Role::Dim), canvas.style(Role::Accent));
    if let Some(search) = search {
        let x = canvas.pieces(area.x, area.y, area.width, &[("/", accent), (search, canvas.style(Role::Text))]);
        if x < area.right() {
            let cursor = Style::new().add_modifier(Modifier::REVERSED);
            canvas.tint(Rect { x, width: 1, ..area }, cursor);
        }
        if is_empty {
            canvas.text(x + 2, area.y, area.right().saturating_sub(x + 2), "No key does that.", dim);
        }
    } else {
        canvas.text(area.x, area.y, area.width, "dim: not in this view", dim);
    }
    if below > 0 {
        let more = format!("{below} more {}", canvas.glyphs().down);
        canvas.text_before(area.right(), area.y, area.width / 2, &more, dim);
    }
}

/// The highest scroll position in this state.
pub(in crate::tui) fn most_lines(model: &Model) -> usize {
    let Overlay::Help { search, .. } = &model.view.overlay else { return 0 };
    // The number of lines: actions, headings with their blank lines, and signs.
    if search.is_some() { Action::ALL.len() } else { Action::ALL.len() + 3 * Group::ALL.len() + Phase::ALL.len() + 5 }
}

/// The groups that are not empty, with their headings.
fn blocks(canvas: &Canvas<'_>, model: &Model, search: &str, with_names: bool) -> Vec<Vec<Line>> {
    let found = actions::matching(model, search);
    let mut blocks: Vec<Vec<Line>> = Vec::new();
    for group in Group::ALL {
        let mut lines: Vec<Line> = vec![vec![(group.heading().to_owned(), Role::Strong)]];
        for action in Action::ALL.iter().filter(|action| found.contains(action)) {
            let entry = actions::spec(*action);
            if entry.group != group {
                continue;
            }
            let keys = entry.keys.iter().chain(entry.keys_in_past);
            let keys: Vec<_> = keys.map(|key| key.label(model.look.unicode)).collect();
            let (accent, text) =
                if actions::applies(model, *action) { (Role::Accent, Role::Text) } else { (Role::Dim, Role::Dim) };
            let mut line = vec![(format!(" {:<10}", keys.join(" ")), accent)];
            if with_names {
                line.push((format!("{:<17}", entry.name), text));
                line.push((entry.help.to_owned(), Role::Dim));
            } else {
                line.push((entry.help.to_owned(), text));
            }
            lines.push(line);
        }
        if lines.len() > 1 {
            blocks.push(lines);
        }
    }
    if search.is_empty() {
        blocks.push(signs(canvas));
    }
    blocks
}

fn signs(canvas: &Canvas<'_>) -> Vec<Line> {
    let mut lines: Vec<Line> = vec![vec![("Signs".to_owned(), Role::Strong)]];
    for phase in Phase::ALL.into_iter().skip(1) {
        let meaning = match phase {
            Phase::New => "not collected yet",
            Phase::Queued => "due, waiting for a free slot",
            Phase::Connect => "connecting and logging in",
            Phase::Upload => "uploading the agent",
            Phase::Execute => "running the agent",
            Phase::Decrypt => "decrypting, checking and storing",
            Phase::Ok => "collected",
            Phase::Failed => "failed; the details say why",
        };
        let glyph = canvas.look().phase_glyph(phase);
        lines.push(vec![(format!(" {glyph} {:<9}", phase.word()), Role::Text), (format!("  {meaning}"), Role::Dim)]);
    }
    lines.push(vec![(" ! alert    ".to_owned(), Role::Warning), ("  a limit is exceeded".to_owned(), Role::Dim)]);
    let glyphs = canvas.glyphs();
    let gauges = format!(
        " {0}{0}{1}{1}  {2}{2}{3}{3} ",
        glyphs.fresh.full, glyphs.fresh.empty, glyphs.stale.full, glyphs.stale.empty
    );
    lines.push(vec![(gauges, Role::Text), ("  solid: this sweep; dotted: earlier".to_owned(), Role::Dim)]);
    let all = glyphs.failed.last().copied().unwrap_or_default();
    let sweeps: String =
        [3, 0, 5].iter().filter_map(|at| Some([glyphs.between, *glyphs.failed.get(*at)?].concat())).collect();
    for (signs, role, meaning) in [
        (glyphs.failed.concat(), Role::Bad, format!("map: share of a cell that failed, {all} all")),
        (glyphs.exceeded.concat(), Role::Warning, "map: share of a cell over a limit".to_owned()),
        (
            format!("{sweeps}{}", glyphs.dot),
            Role::Text,
            format!("past: failed share of each sweep, {} shown", glyphs.dot),
        ),
    ] {
        lines.push(vec![(format!(" {signs:<11}"), role), (format!("  {meaning}"), Role::Dim)]);
    }
    lines
}

/// All blocks below each other, with a blank line between them.
fn joined(blocks: Vec<Vec<Line>>) -> Vec<Line> {
    let mut lines = Vec::new();
    for block in blocks {
        if !lines.is_empty() {
            lines.push(Vec::new());
        }
        lines.extend(block);
    }
    lines
}

/// The blocks in two columns, in order and as evenly as possible.
fn halves(mut blocks: Vec<Vec<Line>>) -> (Vec<Line>, Vec<Line>) {
    let height = |blocks: &[Vec<Line>]| blocks.iter().map(|block| block.len() + 1).sum::<usize>();
    let higher = |at: usize| {
        let (left, right) = blocks.split_at(at);
        height(left).max(height(right))
    };
    let at = (0..=blocks.len()).rev().min_by_key(|at| higher(*at)).unwrap_or(0);
    let right = blocks.split_off(at);
    (joined(blocks), joined(right))
}

//! The theme: colours by meaning, glyphs, and the capabilities of the terminal.
//!
//! Colours are those of the terminal's own palette, so that its theme is respected. Meaning never depends on colour
//! alone: each state has its own glyph and word.

use ratatui::style::{Color, Modifier, Style};

use crate::fleet::Phase;

/// The capabilities of the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Its colours.
    pub colours: Colours,
    /// Its background.
    pub background: Background,
    /// Whether it shows more than ASCII.
    pub unicode: bool,
}

/// How many colours there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colours {
    /// None: bold, dim, underlined and reversed only.
    Mono,
    /// The sixteen of the terminal's theme.
    Sixteen,
    /// 256 or more.
    Many,
}

/// Whether the background is dark or light.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Background {
    /// Light text on dark.
    Dark,
    /// Dark text on light.
    Light,
}

impl Look {
    /// The capabilities according to the environment. `variable` looks up a variable.
    #[must_use]
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let term = set("TERM").unwrap_or_default();
        let colours = if set("NO_COLOR").is_some() || term == "dumb" || term.starts_with("vt1") {
            Colours::Mono
        } else if set("COLORTERM").is_some()
            || term.contains("256")
            || term.contains("kitty")
            || term.contains("ghostty")
        {
            Colours::Many
        } else {
            Colours::Sixteen
        };
        // `COLORFGBG` is "foreground;background". 7 and 9 to 15 are light.
        let background = match set("COLORFGBG").and_then(|value| value.rsplit(';').next()?.parse::<u8>().ok()) {
            Some(7 | 9..=15) => Background::Light,
            Some(_) | None => Background::Dark,
        };
        let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG")).unwrap_or_default();
        let locale = locale.to_ascii_lowercase();
        Self { colours, background, unicode: locale.contains("utf-8") || locale.contains("utf8") }
    }
}

/// The meaning of a piece of text on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Ordinary text.
    Text,
    /// Less important text: labels, rules, ages.
    Dim,
    /// Headings and names.
    Strong,
    /// The selection, the focus, keys to press.
    Accent,
    /// Something succeeded, or is within its limits.
    Good,
    /// A limit is exceeded, or something was deferred.
    Warning,
    /// Something failed.
    Bad,
    /// In progress.
    Active,
}

impl Look {
    /// The style of a role.
    #[must_use]
    pub fn style(self, role: Role) -> Style {
        let light = self.background == Background::Light;
        let (sixteen, many) = match role {
            Role::Text | Role::Dim | Role::Strong => (Color::Reset, Color::Reset),
            Role::Accent if light => (Color::Blue, Color::Indexed(25)),
            Role::Accent => (Color::Cyan, Color::Indexed(80)),
            Role::Good if light => (Color::Green, Color::Indexed(28)),
            Role::Good => (Color::Green, Color::Indexed(71)),
            // Yellow text is unreadable on white.
            Role::Warning if light => (Color::Magenta, Color::Indexed(130)),
            Role::Warning => (Color::Yellow, Color::Indexed(179)),
            Role::Bad if light => (Color::Red, Color::Indexed(160)),
            Role::Bad => (Color::LightRed, Color::Indexed(203)),
            Role::Active if light => (Color::Blue, Color::Indexed(25)),
            Role::Active => (Color::Cyan, Color::Indexed(75)),
        };
        let colour = match self.colours {
            Colours::Mono => Color::Reset,
            Colours::Sixteen => sixteen,
            Colours::Many => many,
        };
        let modifier = match role {
            Role::Dim => Modifier::DIM,
            Role::Strong | Role::Bad => Modifier::BOLD,
            Role::Accent | Role::Warning if self.colours == Colours::Mono => Modifier::BOLD,
            Role::Text | Role::Accent | Role::Good | Role::Warning | Role::Active => Modifier::empty(),
        };
        let style = if colour == Color::Reset { Style::new() } else { Style::new().fg(colour) };
        style.add_modifier(modifier)
    }

    /// The background of the selected row.
    #[must_use]
    pub fn selection(self) -> Style {
        match (self.colours, self.background) {
            (Colours::Many, Background::Dark) => Style::new().bg(Color::Indexed(236)).add_modifier(Modifier::BOLD),
            (Colours::Many, Background::Light) => Style::new().bg(Color::Indexed(254)).add_modifier(Modifier::BOLD),
            (Colours::Mono | Colours::Sixteen, _) => Style::new().add_modifier(Modifier::BOLD),
        }
    }

    /// The style of a phase.
    #[must_use]
    pub fn phase_style(self, phase: Phase) -> Style {
        self.style(match phase {
            Phase::New | Phase::Queued => Role::Dim,
            Phase::Connect | Phase::Upload | Phase::Execute | Phase::Decrypt => Role::Active,
            Phase::Ok => Role::Good,
            Phase::Failed => Role::Bad,
        })
    }

    /// The glyph of a phase.
    #[must_use]
    pub fn phase_glyph(self, phase: Phase) -> &'static str {
        let (unicode, ascii) = match phase {
            Phase::New => (" ", " "),
            Phase::Queued => ("·", "."),
            Phase::Connect => ("◌", "c"),
            Phase::Upload => ("△", "u"),
            Phase::Execute => ("◆", "e"),
            Phase::Decrypt => ("◇", "d"),
            Phase::Ok => ("■", "#"),
            Phase::Failed => ("✗", "x"),
        };
        if self.unicode { unicode } else { ascii }
    }

    /// The other glyphs.
    #[must_use]
    pub fn glyphs(self) -> &'static Glyphs {
        if self.unicode { &UNICODE } else { &ASCII }
    }
}

/// Glyphs, each one column wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glyphs {
    /// A rule.
    pub rule: &'static str,
    /// The progress of a sweep.
    pub progress: Bar,
    /// A gauge of the last collection.
    pub fresh: Bar,
    /// A gauge of a value that was known before.
    pub stale: Bar,
    /// The fraction of failed clients, from few to all, in equal steps.
    pub failed: &'static [&'static str],
    /// The meaning of these signs, long and short.
    pub failed_legend: [&'static str; 2],
    /// The fraction of clients over a limit, from few to all.
    pub exceeded: &'static [&'static str],
    /// The meaning of these signs, long and short.
    pub exceeded_legend: [&'static str; 2],
    /// Eight heights, lowest first.
    pub heights: [&'static str; 8],
    /// From one stage to the next.
    pub arrow: &'static str,
    /// Next to the selected row.
    pub selected: &'static str,
    /// Next to a marked row.
    pub marked: &'static str,
    /// The live dot.
    pub dot: &'static str,
    /// The sign of a pause.
    pub pause: &'static str,
    /// An alert that ended.
    pub ended: &'static str,
    /// Between two facts.
    pub between: &'static str,
    /// For omitted text.
    pub more: &'static str,
    /// Sorted downwards.
    pub down: &'static str,
    /// Sorted upwards.
    pub up: &'static str,
    /// A piece of a stage timeline.
    pub bar: &'static str,
    /// Left of a half column of a stage timeline.
    pub half: &'static str,
    /// No value.
    pub none: &'static str,
    /// The corner before a cause.
    pub cause: &'static str,
    /// The arrow keys.
    pub arrows: &'static str,
    /// The enter key.
    pub enter: &'static str,
    /// Borders: corners from top left clockwise, horizontal, vertical.
    pub border: [&'static str; 6],
}

/// The glyphs of a bar, each one column wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bar {
    /// A full cell.
    pub full: &'static str,
    /// A partly filled cell, from little to much.
    pub parts: &'static [&'static str],
    /// An empty cell.
    pub empty: &'static str,
}

const UNICODE: Glyphs = Glyphs {
    rule: "─",
    progress: Bar { full: "━", parts: &["╸"], empty: "╌" },
    fresh: Bar { full: "█", parts: &["▏", "▎", "▍", "▌", "▋", "▊", "▉"], empty: "░" },
    stale: Bar { full: "┅", parts: &["╾"], empty: "┈" },
    failed: &["▁", "▂", "▃", "▄", "▅", "▆", "▇", "✗"],
    failed_legend: ["▁▇ share failed", "▁▂▃▄▅▆▇ share failed, ✗ all"],
    exceeded: &["░", "▒", "▓"],
    exceeded_legend: ["░▓ over a limit", "░▒▓ share over a limit"],
    heights: ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
    arrow: "▸",
    selected: "▌",
    marked: "•",
    dot: "●",
    pause: "‖",
    ended: "✓",
    between: "·",
    more: "…",
    down: "▾",
    up: "▴",
    bar: "█",
    half: "▌",
    none: "–",
    cause: "└",
    arrows: "↑↓",
    enter: "⏎",
    border: ["┌", "┐", "┘", "└", "─", "│"],
};

const ASCII: Glyphs = Glyphs {
    rule: "-",
    progress: Bar { full: "=", parts: &["-"], empty: "." },
    fresh: Bar { full: "#", parts: &["-", "="], empty: "." },
    stale: Bar { full: ":", parts: &[","], empty: "." },
    failed: &["1", "2", "3", "4", "5", "6", "7", "8", "9", "x"],
    failed_legend: ["1-9 tenths failed", "1-9 tenths failed, x all"],
    exceeded: &["'", "\"", "!"],
    exceeded_legend: ["'\"! over a limit", "'\"! share over a limit"],
    heights: ["_", "_", ".", ".", "-", "=", "+", "#"],
    arrow: ">",
    selected: ">",
    marked: "*",
    dot: "*",
    pause: "=",
    ended: "v",
    between: "-",
    more: "~",
    down: "v",
    up: "^",
    bar: "#",
    half: "|",
    none: "-",
    cause: "`",
    arrows: "jk",
    enter: "enter",
    border: ["+", "+", "+", "+", "-", "|"],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_tells_what_the_terminal_can_show() {
        let look = |colours, background, unicode| Look { colours, background, unicode };
        for (variables, expected) in [
            (&[("TERM", "xterm-256color"), ("LANG", "en_US.UTF-8")][..], look(Colours::Many, Background::Dark, true)),
            (&[("TERM", "linux"), ("LANG", "C")], look(Colours::Sixteen, Background::Dark, false)),
            (
                &[("TERM", "xterm"), ("COLORTERM", "truecolor"), ("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")],
                look(Colours::Many, Background::Dark, false),
            ),
            (
                &[("TERM", "xterm-256color"), ("NO_COLOR", "1"), ("LANG", "C.utf8")],
                look(Colours::Mono, Background::Dark, true),
            ),
            (&[("NO_COLOR", ""), ("COLORFGBG", "0;15")], look(Colours::Sixteen, Background::Light, false)),
        ] {
            let variable = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, v)| (*v).to_owned());
            assert_eq!(Look::from_environment(variable), expected, "{variables:?}");
        }
    }

    #[test]
    fn every_phase_has_a_glyph_of_its_own_and_mono_has_no_colour() {
        for unicode in [true, false] {
            let look = Look { colours: Colours::Mono, background: Background::Dark, unicode };
            let mut glyphs = Phase::ALL.map(|phase| look.phase_glyph(phase)).to_vec();
            glyphs.sort_unstable();
            glyphs.dedup();
            assert_eq!(glyphs.len(), Phase::ALL.len());
            for role in [Role::Accent, Role::Good, Role::Warning, Role::Bad, Role::Active] {
                assert_eq!(look.style(role).fg, None);
            }
        }
    }
}

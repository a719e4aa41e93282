//! Turns a terminal's screen, as `tmux capture-pane -e` prints it, into an SVG: for `assets/screenshots`.
//!
//! `screen_svg COLUMNS ROWS [dark|light] < screen > file.svg`. Every letter stands in its cell whatever font shows
//! it, and bars and rules are drawn, not written: fonts differ in them. (Libraries for this set a line as running
//! text, in which a glyph from another font moves all after it.)

#![expect(clippy::expect_used, reason = "a tool for the makers ends where it cannot go on")]

use std::{
    fmt::Write as _,
    io::{self, Read as _, Write as _},
};

use anstream::adapter::WinconBytes;
use anstyle::{Ansi256Color, Color, Effects, RgbColor, Style};
use unicode_width::UnicodeWidthChar as _;

/// A cell's size and where the letters stand in it.
const WIDTH: f64 = 8.4;
const HEIGHT: f64 = 18.0;
const BASELINE: f64 = 13.5;
const FONT_SIZE: f64 = 14.0;
/// Around the screen.
const MARGIN: f64 = 12.0;
const FONTS: &str = "ui-monospace,'DejaVu Sans Mono','Liberation Mono',Menlo,Consolas,monospace";

/// The terminal's own colours: text, background, and the sixteen of its theme.
struct Theme {
    text: &'static str,
    background: &'static str,
    sixteen: [&'static str; 16],
}

const DARK: Theme = Theme {
    text: "#d8dce3",
    background: "#15181e",
    sixteen: [
        "#15181e", "#e06c75", "#7fb069", "#d9a441", "#61a0e0", "#c678dd", "#56b6c2", "#c8ccd4", "#5c6370", "#ff7b86",
        "#98c379", "#e5c07b", "#74b3f0", "#d19ae6", "#6fd0dc", "#ffffff",
    ],
};

const LIGHT: Theme = Theme {
    text: "#24292f",
    background: "#ffffff",
    sixteen: [
        "#24292f", "#c8262c", "#1a7f37", "#9a6700", "#0969da", "#8250df", "#1b7c83", "#6e7781", "#57606a", "#a40e26",
        "#2da44e", "#bf8700", "#218bff", "#a475f9", "#3192aa", "#8c959f",
    ],
};

/// One letter in its cell.
#[derive(Clone, Copy, PartialEq)]
struct Cell {
    letter: char,
    style: Style,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let size = |at: usize| arguments.get(at).and_then(|text| text.parse::<usize>().ok()).expect("columns and rows");
    let (columns, rows) = (size(0), size(1));
    let theme = if arguments.get(2).is_some_and(|word| word == "light") { LIGHT } else { DARK };
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).expect("a screen on standard input");
    let svg = svg(&cells(&text, columns, rows), columns, &theme);
    io::stdout().write_all(svg.as_bytes()).expect("somebody who reads");
}

/// The screen, cell by cell.
fn cells(text: &str, columns: usize, rows: usize) -> Vec<Vec<Cell>> {
    let mut screen = vec![Vec::new()];
    for (style, piece) in WinconBytes::new().extract_next(text.as_bytes()) {
        for letter in piece.chars() {
            match (letter, screen.last_mut()) {
                ('\n', _) => screen.push(Vec::new()),
                (letter, Some(row)) if letter.width().unwrap_or(0) > 0 => row.push(Cell { letter, style }),
                _ => {}
            }
        }
    }
    screen.truncate(rows);
    screen.resize(rows, Vec::new());
    for row in &mut screen {
        row.truncate(columns);
    }
    screen
}

fn svg(screen: &[Vec<Cell>], columns: usize, theme: &Theme) -> String {
    let (width, height) = (columns as f64 * WIDTH + 2.0 * MARGIN, screen.len() as f64 * HEIGHT + 2.0 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.1} {height:.1}\" width=\"{width:.0}\" \
         height=\"{height:.0}\" font-family=\"{FONTS}\" font-size=\"{FONT_SIZE}\" xml:space=\"preserve\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{}\"/>\n",
        theme.background
    );
    for (number, row) in screen.iter().enumerate() {
        let y = MARGIN + number as f64 * HEIGHT;
        let mut at = 0;
        for run in row.chunk_by(|a, b| a.style == b.style) {
            draw_run(&mut svg, run, MARGIN + at as f64 * WIDTH, y, theme);
            at += run.len();
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// Cells of one style.
fn draw_run(svg: &mut String, run: &[Cell], x: f64, y: f64, theme: &Theme) {
    let Some(style) = run.first().map(|cell| cell.style) else { return };
    let effects = style.get_effects();
    let (mut text, mut back) = (
        style.get_fg_color().map_or(theme.text.to_owned(), |color| hex(color, theme)),
        style.get_bg_color().map(|color| hex(color, theme)),
    );
    if effects.contains(Effects::INVERT) {
        (text, back) = (back.unwrap_or_else(|| theme.background.to_owned()), Some(text));
    }
    if let Some(back) = back {
        rect(svg, x, y, run.len() as f64 * WIDTH, HEIGHT, &back, 1.0);
    }
    let opacity = if effects.contains(Effects::DIMMED) { 0.55 } else { 1.0 };
    let mut attributes = if opacity < 1.0 { format!(" opacity=\"{opacity}\"") } else { String::new() };
    if effects.contains(Effects::BOLD) {
        attributes.push_str(" font-weight=\"bold\"");
    }
    if effects.contains(Effects::UNDERLINE) {
        attributes.push_str(" text-decoration=\"underline\"");
    }
    let mut at = 0;
    // Words are written in one piece, a sign of its own stands by itself, equal bars are one.
    for piece in run.chunk_by(|a, b| a.letter == b.letter || a.letter.is_ascii() && b.letter.is_ascii()) {
        let letters: String = piece.iter().map(|cell| cell.letter).collect();
        let left = x + at as f64 * WIDTH;
        at += piece.len();
        let long = piece.len() as f64 * WIDTH;
        if let Some((top, tall, share)) = letters.chars().next().and_then(bar) {
            rect(svg, left, y + top * HEIGHT, long, tall * HEIGHT, &text, opacity * share);
        } else if let Some((from, share)) = letters.chars().next().and_then(half) {
            for cell in 0..piece.len() {
                let left = left + (cell as f64 + from) * WIDTH;
                rect(svg, left, y, share * WIDTH, HEIGHT, &text, opacity);
            }
        } else if letters.is_ascii() {
            let kept = letters.trim_start();
            let left = left + (letters.len() - kept.len()) as f64 * WIDTH;
            write_text(svg, kept.trim_end(), left, y, &text, &attributes);
        } else {
            for (cell, letter) in letters.chars().enumerate() {
                write_text(svg, &letter.to_string(), left + cell as f64 * WIDTH, y, &text, &attributes);
            }
        }
    }
}

/// A glyph that is a bar over the width of its cell: its top and height as shares of the cell, and how much of
/// it is filled.
fn bar(letter: char) -> Option<(f64, f64, f64)> {
    match letter {
        '▁'..='█' => {
            let eighths = f64::from(u32::from(letter) - u32::from('▁') + 1) / 8.0;
            Some((1.0 - eighths, eighths, 1.0))
        }
        '░' => Some((0.0, 1.0, 0.25)),
        '─' => Some((0.48, 0.05, 1.0)),
        '━' => Some((0.44, 0.12, 1.0)),
        _ => None,
    }
}

/// A glyph that is a bar over the height of its cell: where it begins and how wide it is.
fn half(letter: char) -> Option<(f64, f64)> {
    match letter {
        '▉'..='▏' => Some((0.0, f64::from(u32::from('▏') + 1 - u32::from(letter)) / 8.0)),
        '▐' => Some((0.5, 0.5)),
        '│' => Some((0.46, 0.1)),
        _ => None,
    }
}

fn rect(svg: &mut String, x: f64, y: f64, width: f64, height: f64, fill: &str, opacity: f64) {
    let opacity = if opacity < 1.0 { format!(" opacity=\"{opacity:.2}\"") } else { String::new() };
    let _ = writeln!(
        svg,
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{fill}\"{opacity}/>"
    );
}

fn write_text(svg: &mut String, text: &str, x: f64, y: f64, fill: &str, attributes: &str) {
    if text.is_empty() {
        return;
    }
    let text_length = text.chars().count() as f64 * WIDTH;
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{:.1}\" textLength=\"{text_length:.1}\" lengthAdjust=\"spacingAndGlyphs\" \
         fill=\"{fill}\"{attributes}>{escaped}</text>",
        y + BASELINE
    );
}

fn hex(color: Color, theme: &Theme) -> String {
    let sixteen = |index: u8| theme.sixteen.get(usize::from(index)).copied().unwrap_or(theme.text).to_owned();
    let rgb = |RgbColor(red, green, blue)| format!("#{red:02x}{green:02x}{blue:02x}");
    match color {
        Color::Ansi(color) => sixteen(Ansi256Color::from_ansi(color).index()),
        Color::Ansi256(color) => match (color.into_ansi(), color.index()) {
            (Some(color), _) => sixteen(Ansi256Color::from_ansi(color).index()),
            (None, grey @ 232..) => {
                let level = 8 + 10 * (grey - 232);
                rgb(RgbColor(level, level, level))
            }
            (None, cube) => {
                let step = |part: u8| if part == 0 { 0 } else { 55 + 40 * part };
                let cube = cube - 16;
                rgb(RgbColor(step(cube / 36), step(cube / 6 % 6), step(cube % 6)))
            }
        },
        Color::Rgb(color) => rgb(color),
    }
}

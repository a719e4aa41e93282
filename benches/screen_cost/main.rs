//! Benchmark of the dashboard: time and bytes per frame, applying the events of a sweep, and the program at rest,
//! compared with other programs and a floor in one run on one machine.
//!
//! `cargo bench --bench screen_cost [-- CLIENTS]...`. Defaults: 1,000 and 10,000 clients. Frames are drawn with
//! ratatui's backend for crossterm, like those of the dashboard, to a sink that counts bytes. Compare the ratios.
//!
//! * **floor**: a paragraph of plain text that fills the screen. In a frame with a change, its first letter differs. No
//!   program with this library can be faster.
//! * **Table, all rows**: ratatui's table with a row for each client and the same columns as the dashboard, and nothing
//!   else. This is what most programs do.
//! * **at rest**: the program in a real terminal with paused sweeps and an idle demo fleet in the same process. For
//!   comparison the installed monitors.
//!
//! It only prints figures. There is no limit that makes it fail.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark ends where it cannot go on, and prints"
)]

use std::{
    cell::Cell,
    io::{self, Write},
    rc::Rc,
    time::{Duration, Instant},
};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use fleetsweep::tui::{Message, Model, draw};
use ratatui::{
    Frame, Terminal, TerminalOptions, Viewport, backend::CrosstermBackend, layout::Rect, widgets::Paragraph,
};

mod fleet;
mod rest;
mod table;

/// The sizes of the screens.
const SIZES: [(u16, u16); 2] = [(120, 40), (200, 60)];

/// The number of frames of one kind, if they are fast.
const FRAMES: usize = 200;

/// The time for frames of one kind, if they are slow; at least [`FEWEST`] are drawn.
const PATIENCE: Duration = Duration::from_secs(2);
const FEWEST: usize = 5;

/// The median cost of a frame.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    microseconds: f64,
    bytes: u64,
}

/// Counts the bytes for a terminal and drops them.
#[derive(Debug, Clone, Default)]
struct Sink(Rc<Cell<u64>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.set(self.0.get() + bytes.len() as u64);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A terminal of a fixed size with a sink.
struct Screen {
    terminal: Terminal<CrosstermBackend<Sink>>,
    written: Rc<Cell<u64>>,
}

impl Screen {
    fn new((width, height): (u16, u16)) -> Self {
        let sink = Sink::default();
        let written = sink.0.clone();
        let viewport = Viewport::Fixed(Rect::new(0, 0, width, height));
        let terminal = Terminal::with_options(CrosstermBackend::new(sink), TerminalOptions { viewport }).unwrap();
        Self { terminal, written }
    }

    fn draw(&mut self, render: impl FnOnce(&mut Frame<'_>)) {
        self.terminal.draw(render).unwrap();
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let mut counts: Vec<usize> = arguments.iter().map(|count| count.parse().expect("a number of clients")).collect();
    if counts.is_empty() {
        counts = vec![1000, 10_000];
    }
    for clients in counts {
        for size in SIZES {
            frames(clients, size);
        }
        events(clients);
    }
    rest::measure();
}

/// Measures one kind of frame after the other, for each program.
fn frames(clients: usize, size: (u16, u16)) {
    let (width, height) = size;
    println!("\n{clients} clients, {width}x{height}, one frame\n");
    println!("{:<34} {:>10} {:>8} {:>10}", "", "us", "x floor", "bytes");
    let mut floors = Vec::new();
    let text = |turn: u32| {
        let mut text = ".".repeat(usize::from(width) * usize::from(height));
        text.replace_range(..1, ["a", "b"][turn as usize % 2]);
        text
    };
    let plain = |frame: &mut Frame<'_>, turn| {
        frame.render_widget(Paragraph::new(text(turn)).wrap(ratatui::widgets::Wrap { trim: false }), frame.area());
    };
    let mut show = |what: &str, kind: usize, cost: Cost| {
        if floors.len() == kind {
            floors.push(cost.microseconds);
        }
        let ratio = cost.microseconds / floors[kind];
        println!("{what:<34} {:>10.0} {ratio:>8.1} {:>10}", cost.microseconds, cost.bytes);
    };
    for (kind, name) in [(0, "first paint"), (1, "nothing changed"), (2, "one change")] {
        let mut screen = Screen::new(size);
        let cost = of_many(&mut screen, size, kind == 0, |screen, turn| {
            screen.draw(|frame| plain(frame, if kind == 2 { turn } else { 0 }));
        });
        show(&format!("{name}: floor"), kind, cost);
    }
    let mut model = fleet::model(clients, size);
    for (order, keys) in [("by severity", ""), ("by name", "s"), ("as configured", "sssssss")] {
        press(&mut model, keys);
        for (kind, name) in [(0, "first paint"), (1, "nothing changed"), (2, "one change")] {
            let mut screen = Screen::new(size);
            let cost = of_many(&mut screen, size, kind == 0, |screen, turn| {
                if kind == 2 {
                    model.update(fleet::one_change(turn));
                }
                draw_model(screen, &mut model);
            });
            show(&format!("{name}: {order}"), kind, cost);
        }
    }
    let mut screen = Screen::new(size);
    let cost = of_many(&mut screen, size, false, |screen, turn| {
        let key = if turn % 64 < 32 { KeyCode::Down } else { KeyCode::Up };
        model.update(Message::Key(KeyEvent::new(key, KeyModifiers::NONE)));
        draw_model(screen, &mut model);
    });
    show("a key down", 2, cost);
    let mut screen = Screen::new(size);
    let cost = of_many(&mut screen, size, false, |screen, turn| {
        model.update(Message::Tick(fleet::at(350_000 + 1000 * i64::from(turn))));
        draw_model(screen, &mut model);
    });
    show("a second passes", 2, cost);
    let mut table = table::Table::of(clients);
    for (kind, name) in [(0, "first paint"), (1, "nothing changed"), (2, "one change")] {
        let mut screen = Screen::new(size);
        let cost = of_many(&mut screen, size, kind == 0, |screen, turn| {
            if kind == 2 {
                table.change(turn);
            }
            screen.draw(|frame| table.draw(frame));
        });
        show(&format!("{name}: Table, all rows"), kind, cost);
    }
}

/// The median of many frames. A first paint is drawn to a terminal that has shown nothing yet.
fn of_many(screen: &mut Screen, size: (u16, u16), is_first: bool, mut frame: impl FnMut(&mut Screen, u32)) -> Cost {
    let began = Instant::now();
    let mut costs = Vec::new();
    // Two frames before the measurement, because each of the two buffers must have been drawn once.
    for turn in 0..2 {
        frame(screen, turn);
    }
    for turn in 0.. {
        if is_first {
            *screen = Screen::new(size);
        }
        let (before, from) = (screen.written.get(), Instant::now());
        frame(screen, turn);
        costs.push((from.elapsed(), screen.written.get() - before));
        if costs.len() == FRAMES || costs.len() >= FEWEST && began.elapsed() >= PATIENCE {
            break;
        }
    }
    costs.sort_unstable();
    let (took, bytes) = costs[costs.len() / 2];
    Cost { microseconds: took.as_secs_f64() * 1e6, bytes }
}

/// Draws like the thread of the dashboard.
fn draw_model(screen: &mut Screen, model: &mut Model) {
    model.prepare();
    model.take_changed();
    let model = &*model;
    screen.draw(|frame| draw::draw(model, frame.buffer_mut()));
}

fn press(model: &mut Model, keys: &str) {
    for key in keys.chars() {
        model.update(Message::Key(KeyEvent::new(KeyCode::Char(key), KeyModifiers::NONE)));
    }
}

/// Applies all events of a sweep one by one, and draws as often as the dashboard would.
fn events(clients: usize) {
    let mut model = fleet::model(clients, SIZES[0]);
    let messages: Vec<Message> =
        fleet::frames(fleet::sweep(2, clients, true)).into_iter().map(|frame| Message::Frames(vec![frame])).collect();
    let count = messages.len();
    let began = Instant::now();
    for message in messages {
        model.update(message);
    }
    let took = began.elapsed();
    let each = took.as_secs_f64() * 1e6 / count as f64;
    println!("\n{clients} clients: {count} events of a sweep taken in within {took:.1?}, {each:.2} us each");
}

//! Actions that change the displayed time: frozen screen, past sweeps, recordings, the span of charts.

use crossterm::event::KeyCode;
use jiff::Timestamp;

use super::spec::{Group, Hint, Scope, Spec, spec};
use crate::{
    fleet::{
        listing::{Listed as _, Part},
        stream::Play,
    },
    tui::{
        key::Key::{Char, Code},
        messages::Command,
        model::Model,
        query::Query,
        scrolling::to_end,
        view::{Goal, Held, Overlay, Past, Place, Travel},
    },
};

pub(super) const FREEZE: Spec = Spec {
    hint: Hint::Place(5),
    ..spec(Group::Time, &[Char('f')], "freeze", "Freeze the screen. Collection goes on.", |model| {
        let held = Held { fleet: model.fleet.clone(), at: model.now };
        model.view.frozen = if model.view.frozen.is_some() { None } else { Some(Box::new(held)) };
        model.refresh();
        Vec::new()
    })
};

pub(super) const EARLIER: Spec = Spec {
    hint: Hint::Recording(None),
    ..spec(
        Group::Time,
        &[Code(KeyCode::Left), Char('h')],
        "earlier sweep",
        "Show the fleet one sweep earlier.",
        |model| if model.is_replay() { play(Play::Earlier) } else { earlier(model, 1) },
    )
};

pub(super) const LATER: Spec = Spec {
    hint: Hint::Recording(None),
    ..spec(Group::Time, &[Code(KeyCode::Right), Char('l')], "later sweep", "Show the fleet one sweep later.", |model| {
        if model.is_replay() { play(Play::Later) } else { later(model, 1) }
    })
};

/// A coarse step, sweeps: held down, a day of a sweep each minute passes in five seconds.
const COARSE: usize = 10;

pub(super) const FAR_EARLIER: Spec = Spec {
    keys_in_past: &[Code(KeyCode::PageUp)],
    ..spec(Group::Time, &[Char('{')], "ten earlier", "Show the fleet ten sweeps earlier.", |model| {
        if model.is_replay() { vec![Command::Play(Play::Earlier); COARSE] } else { earlier(model, COARSE) }
    })
};

pub(super) const FAR_LATER: Spec = Spec {
    keys_in_past: &[Code(KeyCode::PageDown)],
    ..spec(Group::Time, &[Char('}')], "ten later", "Show the fleet ten sweeps later.", |model| {
        if model.is_replay() { vec![Command::Play(Play::Later); COARSE] } else { later(model, COARSE) }
    })
};

pub(super) const OLDEST: Spec = Spec {
    keys_in_past: &[Code(KeyCode::Home)],
    ..spec(Group::Time, &[Char('0')], "oldest sweep", "Show the oldest sweep there is.", |model| {
        if model.is_replay() { play(Play::To(Timestamp::MIN)) } else { seek(model, Goal::Oldest, Part::Oldest) }
    })
};

pub(super) const GO_TO: Spec = Spec {
    synonyms: &["goto", "jump", "date", "travel"],
    ..spec(Group::Time, &[Char('g')], "goto time", "Go to a time: -1h, 14:30, yesterday 3:00.", |model| {
        model.view.overlay = Overlay::GoTo { text: String::new(), error: None };
        Vec::new()
    })
};

pub(super) const LIVE: Spec =
    spec(Group::Time, &[Code(KeyCode::End)], "live", "Return to live, or go to the last row.", |model| {
        if model.is_replay() && model.view.frozen.is_none() { play(Play::End) } else { live(model) }
    });

pub(super) const FASTER: Spec = Spec {
    hint: Hint::Recording(None),
    ..spec(Group::Time, &[Char('+'), Char('=')], "faster", "Play a recording twice as fast.", |model| {
        speed(model, Play::Faster)
    })
};

pub(super) const SLOWER: Spec = Spec {
    hint: Hint::Recording(None),
    ..spec(Group::Time, &[Char('-')], "slower", "Play a recording half as fast.", |model| speed(model, Play::Slower))
};

pub(super) const SPAN: Spec = Spec {
    scope: Scope::Clients,
    synonyms: &["zoom", "graph", "history"],
    hint: Hint::In(&[Place::Details], 3),
    ..spec(Group::Time, &[Char('t')], "chart span", "Show charts over 1h to 5y.", |model| {
        model.view.span = model.view.span.next();
        Vec::new()
    })
};

fn play(play: Play) -> Vec<Command> {
    vec![Command::Play(play)]
}

fn speed(model: &mut Model, to: Play) -> Vec<Command> {
    if model.is_replay() {
        return play(to);
    }
    model.say(false, "Only a recording can be played faster or slower.");
    Vec::new()
}

/// Returns to the present; if the present is shown, goes to the last row.
pub(super) fn live(model: &mut Model) -> Vec<Command> {
    if !model.is_past() {
        return to_end(model);
    }
    model.view.travel = None;
    model.view.frozen = None;
    model.refresh();
    Vec::new()
}

/// Goes to the last sweep that began at or before a time.
pub(in crate::tui) fn go_to(model: &mut Model, at: Timestamp) -> Vec<Command> {
    if model.is_replay() { play(Play::To(at)) } else { seek(model, Goal::At(at), Part::At(at)) }
}

/// The index of the displayed sweep among the loaded ones; `None` in the present, or if it is not known yet.
pub(in crate::tui) fn place(model: &Model) -> Option<usize> {
    let sweep = model.view.travel.as_ref()?.sweep()?;
    model.sweeps.rows().is_some().then(|| model.sweeps.position(sweep.key()))
}

/// The sweeps that were asked for are there: goes to the one that is wanted, where that was not known before.
pub(in crate::tui) fn arrive(model: &mut Model) -> Vec<Command> {
    let Some(travel) = &model.view.travel else { return Vec::new() };
    let rows = model.sweeps.rows().unwrap_or_default();
    let oldest = rows.len().saturating_sub(1);
    let index = match travel.to {
        Goal::Sweep(_) if travel.steps_left == 0 => return model.load_on(0),
        Goal::Sweep(_) => place(model).unwrap_or(0).saturating_add(travel.steps_left),
        Goal::Before(steps) => before(model, steps),
        Goal::Oldest => oldest,
        Goal::At(at) => match rows.iter().position(|sweep| sweep.started_at <= at) {
            Some(index) => index,
            None => {
                let text = format!("No sweep is as old as {}. This is the oldest.", at.strftime("%F %H:%M:%SZ"));
                model.say(false, text);
                oldest
            }
        },
    };
    stand(model, index)
}

fn earlier(model: &mut Model, steps: usize) -> Vec<Command> {
    let index = match &mut model.view.travel {
        Some(Travel { to: Goal::Before(wanted), past: Past::Asked, .. }) => {
            // It is not known yet whether there are so many: then it is the oldest that is shown.
            *wanted = wanted.saturating_add(steps);
            return Vec::new();
        }
        Some(Travel { to: Goal::Sweep(_), steps_left, .. }) => {
            let steps = steps.saturating_add(*steps_left);
            place(model).unwrap_or(0).saturating_add(steps)
        }
        Some(Travel { past: Past::Asked, .. }) => return Vec::new(),
        Some(_) | None if model.sweeps.rows().is_some() && !model.sweeps.has_newer() => before(model, steps),
        Some(_) | None => return seek(model, Goal::Before(steps), Part::Newest),
    };
    stand(model, index)
}

fn later(model: &mut Model, steps: usize) -> Vec<Command> {
    let Some(here) = place(model) else { return Vec::new() };
    let here = here.saturating_add(model.view.travel.as_ref().map_or(0, |travel| travel.steps_left));
    match here.checked_sub(steps) {
        Some(index) => stand(model, index),
        None if model.sweeps.has_newer() => stand(model, 0),
        // After the newest comes the present.
        None => live(model),
    }
}

/// Which sweep is so many before the present. Between sweeps the newest one shows the same as the present.
fn before(model: &Model, steps: usize) -> usize {
    if model.is_sweeping() { steps.saturating_sub(1) } else { steps }
}

/// Shows a loaded sweep, or the oldest that is loaded until the wanted one is. Until its fleet is there, nothing is
/// shown.
fn stand(model: &mut Model, wanted: usize) -> Vec<Command> {
    let rows = model.sweeps.rows().unwrap_or_default();
    let index = wanted.min(rows.len().saturating_sub(1));
    let steps_left = if model.sweeps.has_older() { wanted - index } else { 0 };
    let Some(sweep) = rows.get(index).cloned() else {
        model.view.travel = None;
        model.refresh();
        model.say(false, "The database has no earlier sweep.");
        return Vec::new();
    };
    let id = sweep.id;
    if let Some(travel) = model.view.travel.as_mut().filter(|travel| travel.is_to(id))
        && !matches!(travel.past, Past::Failed(_))
    {
        travel.steps_left = steps_left;
        if index + 1 == rows.len() && !model.sweeps.has_older() {
            model.say(false, "The database has no earlier sweep.");
        }
        model.sweeps.retry();
        return model.load_on(0);
    }
    model.view.travel = Some(Travel { to: Goal::Sweep(Box::new(sweep)), past: Past::Asked, steps_left });
    model.refresh();
    model.sweeps.retry();
    let mut commands = vec![Command::Ask(Query::Past(id))];
    commands.extend(model.load_on(0));
    commands
}

/// Asks for a past that failed once more. Until it is there, the reason stands.
pub(in crate::tui) fn ask_again(model: &mut Model) -> Vec<Command> {
    let Some(travel) = model.view.travel.as_ref().filter(|travel| matches!(travel.past, Past::Failed(_))) else {
        return Vec::new();
    };
    let part = match &travel.to {
        Goal::Sweep(sweep) => return vec![Command::Ask(Query::Past(sweep.id))],
        Goal::Before(_) => Part::Newest,
        Goal::Oldest => Part::Oldest,
        Goal::At(at) => Part::At(*at),
    };
    vec![Command::Ask(Query::Sweeps(model.sweeps.jump(part)))]
}

/// Requests the sweeps around the wanted one.
fn seek(model: &mut Model, to: Goal, part: Part) -> Vec<Command> {
    let wish = model.sweeps.jump(part);
    model.view.travel = Some(Travel { to, past: Past::Asked, steps_left: 0 });
    model.refresh();
    vec![Command::Ask(Query::Sweeps(wish))]
}

//! Actions that change the time that is shown: frozen screen, past sweeps, recordings, the span of charts.

use crossterm::event::KeyCode;

use super::spec::{Group, Hint, Scope, Spec, spec};
use crate::{
    fleet::stream::Play,
    tui::{
        key::Key::{Char, Code},
        messages::{Command, Query},
        model::Model,
        scrolling::step,
        view::{Held, Place, Travel},
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
        |model| if model.is_replay() { play(Play::Earlier) } else { travel(model, false) },
    )
};

pub(super) const LATER: Spec = Spec {
    hint: Hint::Recording(None),
    ..spec(Group::Time, &[Code(KeyCode::Right), Char('l')], "later sweep", "Show the fleet one sweep later.", |model| {
        if model.is_replay() { play(Play::Later) } else { travel(model, true) }
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
    ..spec(Group::Time, &[Char('t')], "chart span", "Show charts over 1h, 6h, 24h, 7d or 30d.", |model| {
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

/// Back to the present; there already, to the last row.
pub(super) fn live(model: &mut Model) -> Vec<Command> {
    if !model.is_past() {
        return step(model, isize::MAX / 2);
    }
    model.view.travel = None;
    model.view.frozen = None;
    model.refresh();
    Vec::new()
}

/// One sweep earlier or later. After the newest comes the present.
pub(in crate::tui) fn travel(model: &mut Model, later: bool) -> Vec<Command> {
    let Some(sweeps) = &model.sweeps else {
        if later && model.view.travel.is_none() {
            return Vec::new();
        }
        let travel = model.view.travel.get_or_insert(Travel { to: None, fleet: None });
        travel.to = if travel.fleet.is_some() { travel.to } else { None };
        return vec![Command::Ask(Query::Sweeps)];
    };
    let here = match model.view.travel.as_ref().and_then(|travel| travel.to) {
        Some(to) => sweeps.iter().position(|sweep| sweep.id == to).unwrap_or(sweeps.len()),
        // Between sweeps the newest one shows the same as the present.
        None if model.is_sweeping() => sweeps.len(),
        None => sweeps.len().saturating_sub(1),
    };
    let wanted = if later { here + 1 } else { here.wrapping_sub(1) };
    match sweeps.get(wanted).map(|sweep| sweep.id) {
        Some(id) => {
            let before = model.view.travel.take().and_then(|travel| travel.fleet);
            // What was shown stays until the answer arrives.
            model.view.travel = Some(Travel { to: Some(id), fleet: before });
            model.refresh();
            vec![Command::Ask(Query::Past(id))]
        }
        None if later => {
            model.view.travel = None;
            model.refresh();
            Vec::new()
        }
        None => {
            // The oldest sweep may have been asked for and not yet have arrived: then it stays asked for.
            if model.view.travel.as_ref().is_some_and(|travel| travel.to.is_none() && travel.fleet.is_none()) {
                model.view.travel = None;
            }
            model.say(false, "The database has no earlier sweep.");
            Vec::new()
        }
    }
}

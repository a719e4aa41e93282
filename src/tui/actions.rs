//! The table of what the operator can do. Key map, hint line, help and palette read it; keys and palette go through
//! [`act`]. Each row stands beside the function that does it, in one of the modules here.

use super::{
    action::Action,
    key::Key,
    messages::Command,
    model::Model,
    view::{Overlay, Tab},
};

mod acting;
mod finding;
mod moving;
mod screen;
pub(super) mod spec;
pub(super) mod time;

use spec::{Hint, Spec, Views, When};

/// The row of an action.
pub(super) const fn spec(action: Action) -> &'static Spec {
    match action {
        Action::Up => &moving::UP,
        Action::Down => &moving::DOWN,
        Action::PageUp => &moving::PAGE_UP,
        Action::PageDown => &moving::PAGE_DOWN,
        Action::First => &moving::FIRST,
        Action::Last => &moving::LAST,
        Action::NextPane => &moving::NEXT_PANE,
        Action::PreviousPane => &moving::PREVIOUS_PANE,
        Action::ViewFleet => &screen::VIEW_FLEET,
        Action::ViewAlerts => &screen::VIEW_ALERTS,
        Action::ViewMails => &screen::VIEW_MAILS,
        Action::ViewLog => &screen::VIEW_LOG,
        Action::Open => &moving::OPEN,
        Action::Back => &moving::BACK,
        Action::NextFailure => &finding::NEXT_FAILURE,
        Action::PreviousFailure => &finding::PREVIOUS_FAILURE,
        Action::Filter => &finding::FILTER,
        Action::SearchNext => &finding::SEARCH_NEXT,
        Action::SearchPrevious => &finding::SEARCH_PREVIOUS,
        Action::Sort => &finding::SORT,
        Action::SortReverse => &finding::SORT_REVERSE,
        Action::Mark => &acting::MARK,
        Action::MarkAll => &acting::MARK_ALL,
        Action::Span => &time::SPAN,
        Action::Collect => &acting::COLLECT,
        Action::CollectFailed => &acting::COLLECT_FAILED,
        Action::CollectAll => &acting::COLLECT_ALL,
        Action::Cancel => &acting::CANCEL,
        Action::Pause => &acting::PAUSE,
        Action::Acknowledge => &acting::ACKNOWLEDGE,
        Action::Freeze => &time::FREEZE,
        Action::Earlier => &time::EARLIER,
        Action::Later => &time::LATER,
        Action::Live => &time::LIVE,
        Action::Faster => &time::FASTER,
        Action::Slower => &time::SLOWER,
        Action::TakeOver => &acting::TAKE_OVER,
        Action::Copy => &acting::COPY,
        Action::Export => &acting::EXPORT,
        Action::Mouse => &screen::MOUSE,
        Action::Palette => &screen::PALETTE,
        Action::Help => &screen::HELP,
        Action::Redraw => &screen::REDRAW,
        Action::Suspend => &screen::SUSPEND,
        Action::Quit => &screen::QUIT,
        Action::QuitNow => &screen::QUIT_NOW,
    }
}

/// The action of a key; `None` where it has none.
pub(super) fn bound_to(key: Key) -> Option<Action> {
    Action::ALL.iter().copied().find(|action| spec(*action).keys.contains(&key))
}

/// The actions whose name or help contains every word of `text`, without regard to case. Those whose name begins
/// with `text` come first.
pub(super) fn matching(text: &str) -> Vec<Action> {
    let text = text.to_lowercase();
    let contains = |action: &Action| {
        let help = spec(*action).help.to_lowercase();
        text.split_whitespace().all(|word| spec(*action).name.contains(word) || help.contains(word))
    };
    let mut found: Vec<_> = Action::ALL.iter().copied().filter(contains).collect();
    found.sort_by_key(|action| {
        let name = spec(*action).name;
        (!name.starts_with(text.trim()), !name.contains(text.trim()))
    });
    found
}

/// The place of an action in the hint line of what is shown, the lowest first; `None` keeps it out.
pub(super) fn hint(model: &Model, action: Action) -> Option<u8> {
    let row = spec(action);
    let is_offered = match row.when {
        When::Always => true,
        When::NotInPast | When::Live => !model.is_replay() && !model.is_past(),
    };
    let is_of_view = match (row.views, model.view.tab) {
        (Views::All, _) | (_, Tab::Fleet) | (Views::Alerts, Tab::Alerts) => true,
        (Views::Clients | Views::Alerts, Tab::Alerts | Tab::Mails | Tab::Log) => false,
    };
    let place = match row.hint {
        Hint::Recording(_) if model.is_replay() => return Some(0),
        Hint::CollectorGone => return model.has_lost_its_collector().then_some(0),
        Hint::Never | Hint::Recording(None) => None,
        Hint::Place(place) | Hint::Recording(Some(place)) => Some(place),
    };
    place.filter(|_| is_offered && is_of_view)
}

/// Does an action, or asks first, or says why it cannot be done now.
pub(super) fn act(model: &mut Model, action: Action) -> Vec<Command> {
    let row = spec(action);
    model.prepare();
    if model.is_replay() && row.when == When::Live {
        model.say(true, format!("Cannot {} in a recording.", row.name));
        return Vec::new();
    }
    if model.is_past() && row.when != When::Always {
        let way = if model.view.travel.is_some() { "End returns to live." } else { "f unfreezes the screen." };
        model.say(true, format!("Cannot {} in the past. {way}", row.name));
        return Vec::new();
    }
    if (row.question)(model).is_some() {
        model.view.overlay = Overlay::Confirm { action };
        return Vec::new();
    }
    perform(model, action)
}

/// Does an action without asking.
pub(super) fn perform(model: &mut Model, action: Action) -> Vec<Command> {
    model.prepare();
    model.view.chosen |= spec(action).keeps_selection;
    (spec(action).run)(model)
}

#[cfg(test)]
mod tests {
    use super::{
        super::key::Key::{self, Ctrl},
        *,
    };

    #[test]
    fn no_key_has_two_meanings() {
        let mut seen: Vec<Key> = Vec::new();
        for action in Action::ALL {
            for key in spec(*action).keys {
                assert!(!seen.contains(key), "{key:?} of {action:?}");
                seen.push(*key);
            }
        }
    }

    #[test]
    fn every_action_has_a_key_a_name_and_a_line_of_help() {
        let mut names: Vec<_> = Action::ALL.iter().map(|action| spec(*action).name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Action::ALL.len(), "two actions have the same name");
        for action in Action::ALL {
            let row = spec(*action);
            assert!(!row.keys.is_empty() && !row.name.is_empty() && !row.help.is_empty(), "{action:?}");
            assert!(row.name.len() <= 16 && row.help.len() <= 44, "{action:?}");
        }
    }

    #[test]
    fn keys_that_terminals_and_multiplexers_take_for_themselves_are_left_alone() {
        for taken in ['a', 'b', 's', 'q'] {
            assert!(bound_to(Ctrl(taken)).is_none(), "Ctrl-{taken}");
        }
    }

    #[test]
    fn the_palette_finds_by_name_before_help() {
        for (text, first) in [
            ("collect f", Some(Action::CollectFailed)),
            ("fre", Some(Action::Freeze)),
            ("clipboard", None),
            ("span", Some(Action::Span)),
            ("JSON", Some(Action::Export)),
        ] {
            assert_eq!(matching(text).first().copied(), first, "{text}");
        }
        assert_eq!(matching("").len(), Action::ALL.len());
    }
}

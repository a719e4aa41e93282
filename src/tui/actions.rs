//! The table of the operator's actions. Key map, hint line, help and palette use it; keys and palette call [`act`].
//! Each row is next to its function, in one of the modules here.

use super::{
    action::Action,
    key::Key,
    messages::Command,
    model::Model,
    view::{Overlay, Place},
};

mod acting;
mod finding;
mod moving;
mod screen;
pub(super) mod spec;
mod taking;
pub(super) mod time;

use spec::{Hint, Spec, When};

/// The table row of an action.
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
        Action::SortLeft => &finding::SORT_LEFT,
        Action::SortRight => &finding::SORT_RIGHT,
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
        Action::Unacknowledge => &acting::UNACKNOWLEDGE,
        Action::Freeze => &time::FREEZE,
        Action::Earlier => &time::EARLIER,
        Action::Later => &time::LATER,
        Action::FarEarlier => &time::FAR_EARLIER,
        Action::FarLater => &time::FAR_LATER,
        Action::Oldest => &time::OLDEST,
        Action::GoTo => &time::GO_TO,
        Action::Live => &time::LIVE,
        Action::Faster => &time::FASTER,
        Action::Slower => &time::SLOWER,
        Action::TakeOver => &acting::TAKE_OVER,
        Action::Copy => &taking::COPY,
        Action::CopySsh => &taking::COPY_SSH,
        Action::Export => &taking::EXPORT,
        Action::Mouse => &screen::MOUSE,
        Action::Palette => &screen::PALETTE,
        Action::Help => &screen::HELP,
        Action::Theme => &screen::THEME,
        Action::Redraw => &screen::REDRAW,
        Action::Suspend => &screen::SUSPEND,
        Action::Quit => &screen::QUIT,
        Action::QuitNow => &screen::QUIT_NOW,
    }
}

/// The action of a key; `None` if it has none.
pub(super) fn bound_to(key: Key) -> Option<Action> {
    Action::ALL.iter().copied().find(|action| spec(*action).keys.contains(&key))
}

/// The action of a key in the current view.
pub(super) fn meant_by(model: &Model, key: Key) -> Option<Action> {
    let travels = model.view.travel.is_some() && model.view.place() == Place::Clients;
    let in_past = |action: &Action| travels && spec(*action).keys_in_past.contains(&key);
    Action::ALL.iter().copied().find(in_past).or_else(|| bound_to(key))
}

/// The actions that match `text`, ignoring case: every word of it is in the name, the help or a synonym. Those whose
/// name begins with `text` come first, those that do not apply in the current view last.
pub(super) fn matching(model: &Model, text: &str) -> Vec<Action> {
    let text = text.to_lowercase();
    let text = text.trim();
    let contains = |action: &Action| {
        let row = spec(*action);
        let help = row.help.to_lowercase();
        let is_in = |word: &str| {
            row.name.contains(word) || help.contains(word) || row.synonyms.iter().any(|known| known.contains(word))
        };
        text.split_whitespace().all(is_in)
    };
    let mut found: Vec<_> = Action::ALL.iter().copied().filter(contains).collect();
    found.sort_by_key(|action| {
        let row = spec(*action);
        let is_synonym = row.synonyms.contains(&text);
        (
            !applies(model, *action),
            !(row.name.starts_with(text) || is_synonym),
            !(row.name.contains(text) || is_synonym),
        )
    });
    found
}

/// Whether an action applies in the current view, so that the operator can see the items on which it acts.
pub(super) fn applies(model: &Model, action: Action) -> bool {
    spec(action).scope.includes(model.view.place())
}

/// Why an action does not apply in the current view, and what to press; `None` if it applies.
pub(super) fn refusal(model: &Model, action: Action) -> Option<String> {
    let row = spec(action);
    let (what, way) = row.scope.elsewhere(model.view.place())?;
    let key = row.label(model.look.unicode);
    Some(format!("{key} ({}) acts on {what}: {way}.", row.name))
}

/// The position of an action in the hint line, the lowest first; `None` if it is not shown there.
pub(super) fn hint(model: &Model, action: Action) -> Option<u8> {
    let row = spec(action);
    let is_offered = match row.when {
        When::Always => true,
        When::NotInPast | When::Live => !model.is_replay() && !model.is_past(),
    };
    let place = match row.hint {
        Hint::Recording(_) if model.is_replay() => return Some(0),
        Hint::CollectorLost => return model.lost_collector().map(|_| 0),
        Hint::Never | Hint::Recording(None) => None,
        Hint::In(places, place) => places.contains(&model.view.place()).then_some(place),
        Hint::Place(place) | Hint::Recording(Some(place)) => Some(place),
    };
    place.filter(|_| is_offered && applies(model, action))
}

/// Executes an action, or asks first, or shows why it cannot be executed now.
pub(super) fn act(model: &mut Model, action: Action) -> Vec<Command> {
    let row = spec(action);
    model.prepare();
    if let Some(refusal) = refusal(model, action) {
        model.say(false, refusal);
        return Vec::new();
    }
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

/// Executes an action without a question.
pub(super) fn perform(model: &mut Model, action: Action) -> Vec<Command> {
    model.prepare();
    model.view.chosen |= spec(action).keeps_selection;
    (spec(action).run)(model)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::{
        key::Key::{self, Ctrl},
        paint::press,
        script::{self, DARK},
        view::Place,
    };

    #[test]
    fn no_key_has_two_meanings() {
        for keys in [|row: &Spec| row.keys, |row: &Spec| row.keys_in_past] {
            let mut seen: Vec<Key> = Vec::new();
            for action in Action::ALL {
                for key in keys(spec(*action)) {
                    assert!(!seen.contains(key), "{key:?} of {action:?}");
                    seen.push(*key);
                }
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
    fn the_palette_finds_by_name_before_help_and_by_other_words() {
        let model = script::model(3, (120, 40), DARK);
        for (text, first) in [
            ("collect f", Some(Action::CollectFailed)),
            ("fre", Some(Action::Freeze)),
            ("teapot", None),
            ("span", Some(Action::Span)),
            ("JSON", Some(Action::Export)),
            ("ssh", Some(Action::CopySsh)),
            ("theme", Some(Action::Theme)),
            ("mute", Some(Action::Acknowledge)),
            ("silence", Some(Action::Acknowledge)),
            ("goto time", Some(Action::GoTo)),
            ("search", Some(Action::Filter)),
            ("poll", Some(Action::Collect)),
        ] {
            assert_eq!(matching(&model, text).first().copied(), first, "{text}");
        }
        assert_eq!(matching(&model, "").len(), Action::ALL.len());
    }

    /// A model that shows a view with some content.
    fn showing(place: Place) -> Model {
        let mut model = script::model(20, (120, 40), DARK);
        let keys = match place {
            Place::Clients => "",
            Place::Details => "\n",
            Place::Alerts => "2",
            Place::Mails => "3",
            Place::Mail => "3\n",
            Place::Log => "4",
            Place::LogLine => "4\n",
        };
        press(&mut model, keys);
        assert_eq!(model.view.place(), place);
        model.said = None;
        model
    }

    /// Every action in every view: if it does not apply, it has no effect and this is reported, in the hint line, in
    /// the palette and for its key. The letters are the views in order.
    #[test]
    fn an_action_applies_where_what_it_acts_on_can_be_seen() {
        let everywhere = "cdamMlL";
        let letters = |action| {
            let (table, clients, alerts) = ("c------", "cd-----", "cda----");
            match action {
                Action::NextPane | Action::PreviousPane => table,
                Action::Sort
                | Action::SortLeft
                | Action::SortRight
                | Action::SortReverse
                | Action::Mark
                | Action::MarkAll => table,
                Action::NextFailure | Action::PreviousFailure | Action::SearchNext | Action::SearchPrevious => clients,
                Action::Collect | Action::CollectFailed | Action::CollectAll | Action::Cancel | Action::Span => clients,
                Action::CopySsh => clients,
                Action::Acknowledge | Action::Unacknowledge => alerts,
                Action::Up | Action::Down | Action::PageUp | Action::PageDown | Action::First | Action::Last => {
                    everywhere
                }
                Action::ViewFleet | Action::ViewAlerts | Action::ViewMails | Action::ViewLog => everywhere,
                Action::Open | Action::Back | Action::Filter | Action::Pause | Action::TakeOver => everywhere,
                Action::Freeze | Action::Earlier | Action::Later | Action::Live | Action::Faster => everywhere,
                Action::FarEarlier | Action::FarLater | Action::Oldest | Action::GoTo => everywhere,
                Action::Slower | Action::Copy | Action::Export | Action::Mouse | Action::Palette => everywhere,
                Action::Help | Action::Theme | Action::Redraw | Action::Suspend | Action::Quit | Action::QuitNow => {
                    everywhere
                }
            }
        };
        for action in Action::ALL {
            for (place, letter) in Place::ALL.iter().zip(letters(*action).chars()) {
                let mut model = showing(*place);
                assert_eq!(applies(&model, *action), letter != '-', "{action:?} in {place:?}");
                let before = (model.view.overlay.clone(), model.view.marks.clone(), model.view.sort, model.view.tab);
                let commands = act(&mut model, *action);
                let said = model.said.as_ref().map_or("", |(said, _)| said.text.as_str());
                assert_eq!(said.contains(" acts on "), letter == '-', "{action:?} in {place:?}: {said}");
                if letter == '-' {
                    assert_eq!(commands, [], "{action:?} in {place:?}");
                    let after = (model.view.overlay.clone(), model.view.marks.clone(), model.view.sort, model.view.tab);
                    assert_eq!(after, before, "{action:?} in {place:?}");
                    assert_eq!(hint(&model, *action), None, "{action:?} in {place:?}");
                }
            }
        }
    }

    #[test]
    fn a_key_that_does_not_apply_says_which_view_it_is_for() {
        for (place, action, said) in [
            (Place::Mails, Action::Collect, "c (collect) acts on clients: press 1 for the fleet."),
            (Place::Details, Action::Mark, "space (mark) acts on the client table: press Esc to go back."),
            (Place::Log, Action::Acknowledge, "a (acknowledge) acts on alerts: press 2 for the alerts."),
        ] {
            let mut model = showing(place);
            assert_eq!(act(&mut model, action), []);
            assert_eq!(model.said.unwrap().0.text, said);
        }
    }

    #[test]
    fn the_hint_line_has_the_keys_of_the_view() {
        for (place, shown, absent) in [
            (Place::Clients, "details filter sort collect mark", "back"),
            (Place::Details, "back collect chart_span next_failure", "details sort mark"),
            (Place::Mails, "details filter copy", "back collect mark acknowledge"),
            (Place::Mail, "back copy", "details collect"),
            (Place::Alerts, "details acknowledge", "collect sort mark"),
        ] {
            let model = showing(place);
            let hints: Vec<_> = Action::ALL.iter().filter(|action| hint(&model, **action).is_some()).collect();
            let names: Vec<_> = hints.iter().map(|action| spec(**action).name.replace(' ', "_")).collect();
            assert!(shown.split(' ').all(|name| names.iter().any(|known| known == name)), "{place:?}: {names:?}");
            assert!(!absent.split(' ').any(|name| names.iter().any(|known| known == name)), "{place:?}: {names:?}");
        }
    }
}

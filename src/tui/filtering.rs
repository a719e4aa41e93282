//! Applies the filter of the current view while it is typed: the filter of the clients, or the words of another list.

use super::{
    columns::{alerts, export_names, log, mails},
    model::Model,
    view::Place,
};
use crate::fleet::select::{
    Filter,
    filter::{InvalidFilter, words::Words},
};

/// The filter of the current view, as typed.
pub(super) fn text(model: &Model) -> &str {
    model.view.list_filter().map_or(&model.view.filter_text, |filter| &filter.text)
}

/// Why it is invalid; `None` if it is valid.
pub(super) fn error(model: &Model) -> Option<&str> {
    match model.view.list_filter() {
        Some(filter) => filter.error.as_deref(),
        None => model.view.filter_error.as_deref(),
    }
}

/// The number of matching rows and of all rows; `None` if the view has no rows.
pub(super) fn counts(model: &Model) -> Option<(usize, usize)> {
    match model.view.place() {
        Place::Clients => Some((model.rows.len(), model.shown().clients().count())),
        Place::Details => None,
        Place::Alerts => Some((model.found.len(), model.alert_base().len())),
        Place::Mails | Place::Mail => Some((model.found.len(), model.mails.rows().map_or(0, <[_]>::len))),
        Place::Log | Place::LogLine => Some((model.found.len(), model.log.len())),
    }
}

/// An example of a filter.
pub(super) fn example(place: Place) -> &'static str {
    match place {
        Place::Clients => "state:failed cpu>90 mem>80 disk>90 alert:yes error:timeout age>5m web-* !db",
        Place::Details => "postgres !kernel",
        Place::Alerts => "state:open client:web-* type:cpu !db",
        Place::Mails | Place::Mail => "status:refused recipient:ops cpu !db",
        Place::Log | Place::LogLine => "level:error client:web-* refused !db",
    }
}

/// Sets the filter of the current view. If it is invalid, its valid words apply.
pub(super) fn set(model: &mut Model, text: String) {
    let fields = fields(model.view.place());
    if let Some(filter) = model.view.list_filter_mut() {
        (filter.words, filter.error) = understood(&text, |text| {
            Words::parse(text, &fields).map_err(|(term, problem)| InvalidFilter { term, problem })
        });
        filter.text = text;
        model.found_stale = true;
        return;
    }
    let (filter, error) = understood(&text, str::parse::<Filter>);
    if error.is_none() && !filter.is_empty() {
        model.view.search = filter.clone();
    }
    model.view.filter = filter;
    model.view.filter_error = error;
    model.view.filter_text = text;
    model.refresh();
}

/// The fields for a filter of a list.
fn fields(place: Place) -> Vec<&'static str> {
    match place {
        Place::Clients | Place::Details => Vec::new(),
        Place::Alerts => export_names(&alerts::COLUMNS),
        Place::Mails | Place::Mail => export_names(&mails::COLUMNS),
        Place::Log | Place::LogLine => export_names(&log::COLUMNS),
    }
}

/// The filter for a text, and the error in it. If there is an error, the filter is that of the text without the invalid
/// words.
fn understood<F: Default>(text: &str, parse: impl Fn(&str) -> Result<F, InvalidFilter>) -> (F, Option<String>) {
    let mut error = match parse(text) {
        Ok(filter) => return (filter, None),
        Err(error) => error,
    };
    let first = Some(error.to_string());
    let mut text = text.to_owned();
    loop {
        let shorter = text.replacen(&error.term, " ", 1);
        match parse(&shorter) {
            Ok(filter) => return (filter, first),
            Err(InvalidFilter { .. }) if shorter.len() >= text.len() => return (F::default(), first),
            Err(next) => (error, text) = (next, shorter),
        }
    }
}

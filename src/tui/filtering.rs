//! Takes over the filter as it is typed. Not the filter language.

use super::model::Model;
use crate::fleet::select::{Filter, filter::InvalidFilter};

/// Filters by `text`. Where it cannot be understood as a whole, the words that can be understood apply.
pub(super) fn set(model: &mut Model, text: String) {
    match text.parse::<Filter>() {
        Ok(filter) => {
            if !filter.is_empty() {
                model.view.search = filter.clone();
            }
            model.view.filter = filter;
            model.view.filter_error = None;
        }
        Err(error) => {
            model.view.filter = understood(&text, &error);
            model.view.filter_error = Some(error.to_string());
        }
    }
    model.view.filter_text = text;
    model.refresh();
}

/// The filter of a text without the word that `error` is about, and without any other that cannot be
/// understood.
fn understood(text: &str, error: &InvalidFilter) -> Filter {
    let mut text = text.to_owned();
    let mut wrong = error.term.clone();
    loop {
        let shorter = text.replacen(&wrong, " ", 1);
        match shorter.parse() {
            Ok(filter) => return filter,
            Err(InvalidFilter { .. }) if shorter.len() >= text.len() => return Filter::default(),
            Err(error) => (wrong, text) = (error.term, shorter),
        }
    }
}

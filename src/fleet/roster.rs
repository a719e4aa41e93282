//! The clients in the configuration's order, each found by its identity at once. Not what is known of them.
//!
//! A screen goes through all of them many times for every frame: they lie side by side, and counting them
//! costs nothing.

use std::collections::HashMap;

use serde::{Deserialize, Serialize, Serializer};

use super::{ClientId, client_view::ClientView};

/// The clients. Each has an identity of its own; of several with the same, the last is found.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(from = "Vec<ClientView>")]
pub(super) struct Roster {
    views: Vec<ClientView>,
    /// Where each stands in `views`.
    places: HashMap<ClientId, usize>,
}

impl Roster {
    pub(super) fn all(&self) -> &[ClientView] {
        &self.views
    }

    pub(super) fn all_mut(&mut self) -> &mut [ClientView] {
        &mut self.views
    }

    pub(super) fn get(&self, id: &ClientId) -> Option<&ClientView> {
        self.views.get(*self.places.get(id)?)
    }

    pub(super) fn get_mut(&mut self, id: &ClientId) -> Option<&mut ClientView> {
        self.views.get_mut(*self.places.get(id)?)
    }

    pub(super) fn into_all(self) -> Vec<ClientView> {
        self.views
    }
}

impl From<Vec<ClientView>> for Roster {
    fn from(views: Vec<ClientView>) -> Self {
        let places = views.iter().enumerate().map(|(place, view)| (view.card.id.clone(), place)).collect();
        Self { views, places }
    }
}

impl PartialEq for Roster {
    fn eq(&self, other: &Self) -> bool {
        self.views == other.views
    }
}

/// As a list: each client names itself.
impl Serialize for Roster {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.views.serialize(serializer)
    }
}

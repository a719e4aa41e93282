//! The clients in the order of the configuration, with an index by identity.
//!
//! The dashboard iterates over them many times per frame, so they are stored contiguously.

use std::collections::HashMap;

use serde::{Deserialize, Serialize, Serializer};

use super::{ClientId, client_view::ClientView};

/// The clients. Identities are unique; of duplicates, the last one is found.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(from = "Vec<ClientView>")]
pub(super) struct Roster {
    views: Vec<ClientView>,
    /// The index of each client in `views`.
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

/// Serialized as a list, because each client contains its identity.
impl Serialize for Roster {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.views.serialize(serializer)
    }
}

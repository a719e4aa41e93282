//! Answers the queries of the dashboard from the database.

use jiff::Timestamp;

use crate::{
    app::error::chain,
    fleet::event::ClientCard,
    store::{Reader, StoreError},
    tui::{Answer, Query, data::StatusMessage},
};

/// The most rows of a list that are shown.
const ROWS: u32 = 500;

/// The most security events of a client that are shown, newest first.
const EVENTS: u32 = 50;

/// The answer to `query` as of `now`, or an error message. `cards` are the currently configured clients, which a past
/// sweep shows.
pub async fn answer(reader: &Reader, query: Query, cards: Vec<ClientCard>, now: Timestamp) -> Answer {
    find(reader, query, &cards, now).await.unwrap_or_else(|error| said(&chain(&error)))
}

/// There is no database to query while a recording is played.
pub fn nothing() -> Answer {
    said("not in the recording: history, mails and past sweeps are in the database of its collector")
}

async fn find(reader: &Reader, query: Query, cards: &[ClientCard], now: Timestamp) -> Result<Answer, StoreError> {
    Ok(match query {
        Query::History { client, span, until } => {
            let points = reader.history(&client, span, until.unwrap_or(now)).await?;
            Answer::History { client, span, until, points }
        }
        Query::SecurityEvents(client) => {
            let events = reader.security_events(&client, EVENTS).await?;
            Answer::SecurityEvents { client, events }
        }
        Query::AlertHistory => Answer::AlertHistory(reader.alert_history(ROWS).await?),
        Query::Mails => Answer::Mails(reader.mails(ROWS).await?),
        Query::Sweeps => Answer::Sweeps(reader.sweeps(ROWS).await?),
        Query::Past(sweep) => match reader.past(sweep, cards).await? {
            Some(fleet) => Answer::Past { sweep, fleet: Box::new(fleet) },
            None => said("this sweep is no longer in the database"),
        },
    })
}

fn said(text: &str) -> Answer {
    Answer::Status(StatusMessage { is_error: true, text: text.to_owned() })
}

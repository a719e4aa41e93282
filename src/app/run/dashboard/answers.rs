//! Answers the queries of the dashboard from the database.

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::{
    app::error::chain,
    fleet::event::ClientCard,
    store::{Reader, StoreError, reader::Past},
    tui::{Answer, Query},
};

/// How many of the newest security events of a client are shown.
const EVENTS: u32 = 50;

/// The answer to `query` as of `now`, or the error; `None` if `superseded` was cancelled first. `cards` are the current
/// clients, which a past sweep shows.
pub async fn answer(
    reader: &Reader,
    query: Query,
    cards: Vec<ClientCard>,
    now: Timestamp,
    superseded: &CancellationToken,
) -> Option<Answer> {
    match find(reader, &query, &cards, now, superseded).await {
        Ok(found) => found,
        Err(error) => Some(Answer::Failed { query, why: chain(&error) }),
    }
}

/// The answer if there is no database, for example during a replay.
pub fn nothing(query: Query) -> Answer {
    let why = "not in the recording: it is in the database of its collector".to_owned();
    Answer::Failed { query, why }
}

async fn find(
    reader: &Reader,
    query: &Query,
    cards: &[ClientCard],
    now: Timestamp,
    superseded: &CancellationToken,
) -> Result<Option<Answer>, StoreError> {
    Ok(Some(match query.clone() {
        Query::History { client, span, until } => {
            let points = reader.history(&client, span, until.unwrap_or(now)).await?;
            Answer::History { client, span, until, points }
        }
        Query::SecurityEvents(client) => {
            let events = reader.security_events(&client, EVENTS).await?;
            Answer::SecurityEvents { client, events }
        }
        Query::AlertHistory(wish) => {
            Answer::AlertHistory { wish, page: reader.alerts_page(wish.part, wish.most).await? }
        }
        Query::Mails(wish) => {
            let page = reader.mails_page(wish.part, wish.most).await?;
            let counts = reader.mail_counts().await?;
            Answer::Mails { wish, page, waiting: counts.waiting, refused: counts.refused }
        }
        Query::Sweeps(wish) => Answer::Sweeps { wish, page: reader.sweeps_page(wish.part, wish.most).await? },
        Query::Past(sweep) => match reader.past(sweep, cards, superseded).await? {
            Past::Known { fleet, unreadable } => Answer::Past { sweep, fleet, unreadable },
            Past::Unknown => {
                let why = "this sweep is no longer in the database".to_owned();
                Answer::Failed { query: query.clone(), why }
            }
            Past::Superseded => return Ok(None),
        },
    }))
}

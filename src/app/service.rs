//! `--headless`: the collector at work, its events in the log, until it is told to end.

use std::{path::Path, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    relay::record::Recorder,
    spine::{Hub, Orders, Spine},
    store::holder::Mode,
};

use super::{
    Failed,
    base::{self, Base, Opened, SERVICE_PATIENCE},
    counter::Counter,
    logging::LogTap,
    readers::Readers,
    signals,
    source::Source,
    work::{self, Desk},
};

/// A collector that was just told to end has not said so yet: after so long it has.
const SECOND_LOOK: Duration = Duration::from_secs(1);

/// Sweeps until `stop`; SIGHUP has the configuration read again.
///
/// # Errors
/// [`Failed`] where it could not begin.
pub async fn run(source: &Source, record: Option<&Path>, tap: &LogTap, stop: &CancellationToken) -> Result<(), Failed> {
    let config = source.load()?;
    let record = record.map(Recorder::create).transpose()?;
    let (spine, told) = Spine::new();
    let hub = Hub::start(told);
    tap.open_into(hub.door());
    let mut readers = Readers::default();
    readers.log(&hub);
    readers.record(&hub, record);
    let mut counter = None;
    let outcome = async {
        let reloads = Some(signals::hangups()?);
        let open = async || {
            let opened = Base::open_or_find(&config, source.costs, spine.clone(), SERVICE_PATIENCE, stop).await;
            if let Err(failed) = &opened {
                base::tell_of_database(&config, None, failed).await;
            }
            opened
        };
        let mut opened = open().await?;
        if matches!(opened, Opened::Held(_))
            && stop.run_until_cancelled(tokio::time::sleep(SECOND_LOOK)).await.is_some()
        {
            opened = open().await?;
        }
        let base = match opened {
            Opened::Ours(base) => Arc::new(*base),
            Opened::Held(held) => return Err(Failed::Database(*held)),
        };
        drop(spine);
        let (orders, asked) = Orders::new();
        counter = Counter::open(&base, &hub.door(), orders, Mode::Headless).await;
        let desk = Desk { door: hub.door(), asked, reloads, stop: stop.clone() };
        work::serve(base, source, config, desk).await
    }
    .await;
    hub.finish().await;
    if let Some(counter) = counter {
        counter.close().await;
    }
    readers.ended().await;
    outcome
}

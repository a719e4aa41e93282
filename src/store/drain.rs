//! Stores what waits in the spool, in order, while more may come in. [`super::writer`] decides when.
//!
//! At most one change comes in for two that are stored, so that there is an end, however slow the database is. The others stay in
//! the queue, and sweeps slow down to the speed of the database.
//!
//! A batch from the spool is one transaction, in which the database also notes how far it has come. Killed at any
//! point, and whichever answer is lost, the database says what is stored already
//! ([`progress`](super::spool::progress)).

use std::{error::Error, time::Duration};

use super::{
    batch_size::MOST,
    commit::{self, Source},
    connection::WriteConnection,
    deadlines::TRANSACTION_DEADLINE,
    error::StoreError,
    outage::OutageSpool,
    queue::WriteQueue,
    spool::{Waiting, progress::Origin},
    spooled::{self, SpooledWrite},
    write::Write,
};

/// How long a transaction from the spool runs before new changes are received: longer than most take. Keeping each change
/// would slow it down.
const HEAD_START: Duration = Duration::from_millis(500);

/// After this many transactions from the spool, new changes are received, also if each was short.
const TRANSACTIONS_A_TURN: u32 = 4;

/// The parts of the writer that are needed for this.
pub(super) struct Drain<'a> {
    pub(super) connection: &'a mut WriteConnection,
    pub(super) outage: &'a mut OutageSpool,
    pub(super) queue: &'a mut WriteQueue,
    /// The number of stored changes.
    pub(super) stored: u64,
    /// The number of changes that came in.
    received: u64,
}

impl<'a> Drain<'a> {
    pub(super) fn new(
        connection: &'a mut WriteConnection,
        outage: &'a mut OutageSpool,
        queue: &'a mut WriteQueue,
    ) -> Self {
        Self { connection, outage, queue, stored: 0, received: 0 }
    }

    /// Stores all waiting changes.
    pub(super) async fn run(&mut self) -> Result<(), StoreError> {
        for turn in 1_u32.. {
            if turn % TRANSACTIONS_A_TURN == 0 && self.queue.receive_at_once(room(self.stored, self.received)) {
                self.received += self.queue.batch.len() as u64;
                self.outage.keep_received(self.queue).await;
            }
            let size = self.connection.batch_size();
            let peek = move |spool: &mut super::spool::Spool| Ok((spool.peek(size)?, spool.id().unwrap_or_default()));
            let (waiting, id) = self.outage.on_disk(peek).await?;
            if waiting.is_empty() {
                return Ok(());
            }
            let mut batch = Vec::with_capacity(waiting.len());
            for Waiting { content, end } in waiting {
                match spooled::read(content, id, end) {
                    Ok(spooled) => batch.push(spooled),
                    // It is handled when it is the first of a batch.
                    Err(_) if !batch.is_empty() => break,
                    Err((content, why)) => {
                        self.set_aside(content, &why).await?;
                        self.pass(1, end).await?;
                        break;
                    }
                }
            }
            let Some(last) = batch.last().map(|spooled| spooled.origin.end) else { continue };
            match self.store(&batch).await {
                Ok(()) => {
                    self.pass(batch.len(), last).await?;
                    self.stored += batch.len() as u64;
                }
                Err(error) if is_fault_of_a_change(&error) => {
                    for spooled in &batch {
                        self.stored += u64::from(self.store_or_set_aside(spooled).await?);
                        self.pass(1, spooled.origin.end).await?;
                    }
                }
                // The deadline has passed, so a smaller batch is next.
                Err(_) if self.connection.batch_size() < batch.len() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Stores a single change. Returns whether it is stored; otherwise it was set aside.
    async fn store_or_set_aside(&mut self, spooled: &SpooledWrite) -> Result<bool, StoreError> {
        match self.store(std::slice::from_ref(spooled)).await {
            Ok(()) => Ok(true),
            Err(error) if is_fault_of_a_change(&error) => {
                self.set_aside(spooled.content.clone().into_bytes(), &error).await?;
                self.transact(&[spooled.origin], &[]).await?;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    async fn store(&mut self, batch: &[SpooledWrite]) -> Result<(), StoreError> {
        let writes: Vec<&Write> = batch.iter().map(|spooled| &spooled.write).collect();
        let origins: Vec<Origin> = batch.iter().map(|spooled| spooled.origin).collect();
        self.transact(&origins, &writes).await
    }

    /// Runs a transaction. Changes that come in meanwhile are kept in the spool.
    async fn transact(&mut self, origins: &[Origin], writes: &[&Write]) -> Result<(), StoreError> {
        self.connection.check_file().await?;
        let (pool, token, known) = self.connection.begin(writes.len());
        let commit = commit::commit(&pool, token, Source::Spool(origins), known, writes);
        let mut commit = std::pin::pin!(tokio::time::timeout(TRANSACTION_DEADLINE, commit));
        let mut head_start = std::pin::pin!(tokio::time::sleep(HEAD_START));
        let mut receives = false;
        let ended = loop {
            let room = room(self.stored + writes.len() as u64, self.received);
            tokio::select! {
                biased;
                ended = &mut commit => break ended,
                () = &mut head_start, if !receives => receives = true,
                () = self.queue.receive(room), if receives && room > 0 && self.queue.is_open => {
                    self.received += self.queue.batch.len() as u64;
                    // The transaction continues while this waits for the disk.
                    let mut keeping = std::pin::pin!(self.outage.keep_received(self.queue));
                    tokio::select! {
                        () = &mut keeping => {}
                        ended = &mut commit => {
                            keeping.await;
                            break ended;
                        }
                    }
                }
            }
        };
        self.connection.end(ended)?;
        self.connection.check_file().await
    }

    async fn set_aside(&self, content: Vec<u8>, why: &(dyn Error + Sync + 'static)) -> Result<(), StoreError> {
        let file = self.outage.on_disk(move |spool| spool.set_aside(&content)).await?;
        tracing::error!(
            error = why as &dyn Error,
            "database {} does not take a change that waited for it: it is kept in {}",
            self.connection.place(),
            file.display()
        );
        Ok(())
    }

    /// Marks this many changes of the spool as stored, the last of which ends at `end`.
    async fn pass(&self, count: usize, end: u64) -> Result<(), StoreError> {
        let waiting = self.outage.on_disk(move |spool| spool.pass(count, end).map(|()| spool.waiting())).await?;
        self.outage.tell(waiting);
        Ok(())
    }
}

/// How many changes may come in when so many have been stored, and so many have come in.
fn room(stored: u64, received: u64) -> usize {
    usize::try_from((stored / 2).saturating_sub(received)).unwrap_or(MOST).min(MOST)
}

/// Whether one of the changes is the reason. A full disk is not.
fn is_fault_of_a_change(error: &StoreError) -> bool {
    error.kind.may_concern_one_record() && !error.kind.will_pass()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// With more changes at any time than come in, and batches of any size.
        #[test]
        fn there_is_an_end_however_fast_changes_come_in(
            begun_with in 1_u64..100_000,
            batches in prop::collection::vec(1_u64..=MOST as u64, 1..50),
        ) {
            let (mut stored, mut received) = (0, 0);
            for batch in batches.into_iter().cycle() {
                let waiting = begun_with + received - stored;
                if waiting == 0 {
                    break;
                }
                // While the transaction runs.
                let batch = batch.min(waiting);
                let come_in = room(stored + batch, received) as u64;
                prop_assert!(come_in <= batch);
                received += come_in;
                stored += batch;
            }
            prop_assert!(stored < 2 * begun_with + MOST as u64, "{stored} of {begun_with}");
        }
    }
}

//! The writer: the only task that changes the database. It combines waiting changes into one transaction and answers
//! each request when it is on disk. While the database is away, it keeps changes in the spool and tries regularly. The
//! statements are in [`super::commit`].

use std::{sync::Arc, time::Duration};

use tokio::sync::Notify;
use uuid::Uuid;

use super::{
    batch_size::MOST,
    connection::WriteConnection,
    drain::Drain,
    error::{StoreError, StoreErrorKind},
    outage::{OutageSpool, SHORTEST_PAUSE},
    queue::{WriteQueue, WriteRequest},
    write::Write,
};

/// How long the end of the program waits for a database that is away.
const LAST_TRY: Duration = Duration::from_secs(5);

/// How often a file is checked when nothing is written.
const CHECK_EVERY: Duration = Duration::from_secs(5);

/// The writer of an open database.
pub(super) struct Writer {
    pub(super) connection: WriteConnection,
    pub(super) outage: OutageSpool,
}

impl Writer {
    /// Writes until it is closed or all senders are gone, then releases the lock.
    pub(super) async fn run(mut self, mut queue: WriteQueue) {
        while queue.is_open {
            if self.outage.is_active() {
                self.wait_out(&mut queue).await;
                continue;
            }
            tokio::select! {
                biased;
                () = queue.receive(self.connection.batch_size()) => {
                    if !queue.batch.is_empty() {
                        self.serve(&mut queue.batch).await;
                    }
                }
                () = tokio::time::sleep(CHECK_EVERY), if self.connection.is_file() => self.check_idle_file().await,
            }
        }
        if !self.outage.is_active() {
            self.check_idle_file().await;
        }
        self.try_a_last_time().await;
        let Self { connection, outage } = self;
        let is_away = outage.is_active();
        connection.close(!is_away).await;
        // The status is published before the answer. From then on, another process may use the spool.
        drop(outage);
        queue.answer_closers();
    }

    /// Stores what an earlier run left in the spool. Returns the number of changes.
    pub(super) async fn drain_left(&mut self) -> Result<u64, StoreError> {
        let mut queue = WriteQueue::closed();
        let mut drain = Drain::new(&mut self.connection, &mut self.outage, &mut queue);
        drain.run().await?;
        Ok(drain.stored)
    }

    /// Stores a batch and answers its requests. If a single record may be the reason for an error, each is tried alone.
    /// If the database is away, they are kept in the spool.
    async fn serve(&mut self, batch: &mut Vec<WriteRequest>) {
        for request in &*batch {
            if let Write::Announce(owner) = &request.write {
                self.connection.remember_announced(owner);
            }
        }
        let name = Uuid::new_v4();
        let writes: Vec<&Write> = batch.iter().map(|request| &request.write).collect();
        let Err(error) = self.connection.transact(name, &writes).await else {
            return batch.drain(..).for_each(|request| request.answer(Ok(())));
        };
        let mut alone = Vec::new();
        if error.kind.will_pass() {
            // On a full disk, which the spool may share, small changes may still succeed.
            let several = batch.len() > 1;
            for (request, not_kept) in self.begin_outage(batch, name, &error).await {
                if error.kind != StoreErrorKind::Full || self.outage.is_active() {
                    request.answer(Err(not_kept));
                } else if several {
                    alone.push(request);
                } else {
                    request.answer(Err(error.clone()));
                }
            }
        } else if batch.len() > 1 && error.kind.may_concern_one_record() {
            alone.append(batch);
        } else {
            return batch.drain(..).for_each(|request| request.answer(Err(error.clone())));
        }
        let mut left = alone.into_iter();
        while let Some(request) = left.next() {
            let name = Uuid::new_v4();
            match self.connection.transact(name, &[&request.write]).await {
                Err(error) if error.kind.will_pass() && error.kind != StoreErrorKind::Full => {
                    batch.push(request);
                    batch.extend(left.by_ref());
                    for (request, error) in self.begin_outage(batch, name, &error).await {
                        request.answer(Err(error));
                    }
                }
                Err(error) => request.answer(Err(error)),
                Ok(()) => request.answer(Ok(())),
            }
        }
    }

    /// See [`OutageSpool::begin_with`].
    async fn begin_outage(
        &mut self,
        batch: &mut Vec<WriteRequest>,
        tried: Uuid,
        error: &StoreError,
    ) -> Vec<(WriteRequest, StoreError)> {
        let is_shut = self.connection.is_shut();
        self.outage.begin_with(batch, tried, error, is_shut).await
    }

    /// Checks the file while nothing is written.
    async fn check_idle_file(&mut self) {
        if let Err(error) = self.connection.check_file().await {
            self.outage.begin_empty(&error);
        }
    }

    /// One step while the database is away: keeps new changes, or tries to store waiting ones.
    async fn wait_out(&mut self, queue: &mut WriteQueue) {
        let Some(outage) = self.outage.current() else { return };
        let (next, soonest) = (outage.tried_at + outage.pause, outage.tried_at + SHORTEST_PAUSE);
        let answers_count = outage.why.kind.ends_with_an_answer();
        let (answered, hurry) = (Arc::clone(&self.outage.answered), Arc::clone(&self.outage.hurry));
        let notified = |notify: Arc<Notify>| async move {
            tokio::time::sleep_until(soonest).await;
            notify.notified().await;
        };
        tokio::select! {
            () = queue.receive(MOST) => return self.outage.keep_received(queue).await,
            () = tokio::time::sleep_until(next) => {}
            () = notified(hurry) => {}
            () = notified(answered), if answers_count => {}
        }
        self.try_again(queue).await;
    }

    async fn try_again(&mut self, queue: &mut WriteQueue) {
        let mut stored = 0;
        let result = match self.connection.reopen().await {
            Ok(()) => {
                let mut drain = Drain::new(&mut self.connection, &mut self.outage, queue);
                let result = drain.run().await;
                stored = drain.stored;
                result
            }
            Err(error) => Err(error),
        };
        self.outage.tried(result, stored);
    }

    /// A last attempt at the end of the program. What still waits is stored at the next start.
    async fn try_a_last_time(&mut self) {
        let Some(outage) = self.outage.current() else { return };
        if outage.tried_at.elapsed() >= SHORTEST_PAUSE
            && tokio::time::timeout(LAST_TRY, self.try_again(&mut WriteQueue::closed())).await.is_err()
        {
            tracing::debug!("the database did not come back at the last moment");
        }
        let waiting = self.outage.on_disk(|spool| Ok((spool.waiting(), spool.files()))).await;
        if let Ok((waiting, files)) = waiting
            && waiting > 0
        {
            let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
            tracing::warn!(
                "database {} is away still: {waiting} changes wait in {} for the next start",
                self.connection.place(),
                files.join(" and ")
            );
        }
    }
}

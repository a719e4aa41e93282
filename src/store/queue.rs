//! The queue of changes for the writer.

use tokio::sync::{mpsc, oneshot};

use super::{batch_size::MOST, error::StoreError, write::Write};

/// The capacity of the queue. If it is full, the sender waits: its collection stays in the stage `store`, the next
/// client is not started, and the sweep slows down to the speed of the database.
const CAPACITY: usize = 1024;

/// A change and the sender for its result.
#[derive(Debug)]
pub(super) struct WriteRequest {
    pub(super) write: Write,
    pub(super) done: oneshot::Sender<Result<(), StoreError>>,
}

impl WriteRequest {
    /// Sends the result.
    pub(super) fn answer(self, result: Result<(), StoreError>) {
        answer(self.done, result);
    }
}

fn answer(done: oneshot::Sender<Result<(), StoreError>>, result: Result<(), StoreError>) {
    if done.send(result).is_err() {
        tracing::debug!("nobody waits any more for what was written");
    }
}

/// The writer's end of the queue.
pub(super) struct WriteQueue {
    requests: mpsc::Receiver<WriteRequest>,
    /// Changes that were taken from the queue and are stored next.
    pub(super) batch: Vec<WriteRequest>,
    closers: Vec<oneshot::Sender<Result<(), StoreError>>>,
    /// Whether changes can still come.
    pub(super) is_open: bool,
}

impl WriteQueue {
    /// A queue and its sender.
    pub(super) fn new() -> (mpsc::Sender<WriteRequest>, Self) {
        let (sender, requests) = mpsc::channel(CAPACITY);
        (sender, Self::of(requests, true))
    }

    /// A queue without senders.
    pub(super) fn closed() -> Self {
        Self::of(mpsc::channel(1).1, false)
    }

    fn of(requests: mpsc::Receiver<WriteRequest>, is_open: bool) -> Self {
        Self { requests, batch: Vec::with_capacity(MOST), closers: Vec::new(), is_open }
    }

    /// Waits until the batch is not empty, and takes at most so many changes; it does not wait for more. Safe to cancel.
    pub(super) async fn receive(&mut self, most: usize) {
        if self.requests.recv_many(&mut self.batch, most).await == 0 {
            self.is_open = false;
        }
        self.take_out_closers();
    }

    /// Takes at most so many of the changes that are there. Returns whether there are any.
    pub(super) fn receive_at_once(&mut self, most: usize) -> bool {
        while self.batch.len() < most
            && let Ok(request) = self.requests.try_recv()
        {
            self.batch.push(request);
        }
        self.take_out_closers();
        !self.batch.is_empty()
    }

    fn take_out_closers(&mut self) {
        let closing = self.batch.extract_if(.., |request| matches!(request.write, Write::Close));
        self.closers.extend(closing.map(|request| request.done));
        if !self.closers.is_empty() {
            // No new changes from here on. Those in the queue are still processed.
            self.requests.close();
        }
    }

    /// Answers the requests to close the store.
    pub(super) fn answer_closers(self) {
        for closer in self.closers {
            answer(closer, Ok(()));
        }
    }
}

//! Decides whether the collector itself is cut off from the network: nearly all clients that answered at their last
//! collection fail at once as if the network were down. Pure.
//!
//! The collector cannot distinguish a network failure of its own from a power failure of every client, so the number
//! decides: nine of ten clients, and at least three. The verdict is given as early as possible, so that failures do not
//! wait in a sweep in which others answer.

/// The least number of clients. With fewer, the comparison means nothing.
const LEAST: usize = 3;

/// The evidence during a sweep. It counts only the clients that answered at their last collection, because others that
/// fail again say nothing new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Evidence {
    /// Clients without an outcome yet.
    pub open: usize,
    /// Clients that answered, or failed for a reason of their own.
    pub reached: usize,
    /// Clients that failed as if the network were down.
    pub silent: usize,
}

impl Evidence {
    /// Whether the collector is cut off; `None` while that is undecided.
    #[must_use]
    pub fn verdict(self) -> Option<bool> {
        let all = self.open + self.reached + self.silent;
        if all < LEAST || self.reached * 10 > all {
            return Some(false);
        }
        (self.open == 0).then_some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_of_ten_and_at_least_three() {
        for (open, reached, silent, expected) in [
            (0, 0, 0, Some(false)),
            (0, 0, 2, Some(false)),
            (0, 0, 3, Some(true)),
            (0, 1, 2, Some(false)),
            (1, 0, 2, None),
            (2, 1, 0, Some(false)),
            (9, 1, 0, None),
            (0, 1, 9, Some(true)),
            (8, 2, 0, Some(false)),
            (0, 1, 8, Some(false)),
            (1, 49, 450, None),
            (0, 50, 450, Some(true)),
            (0, 51, 449, Some(false)),
            // As soon as a tenth has answered, it is decided.
            (449, 51, 0, Some(false)),
        ] {
            assert_eq!(Evidence { open, reached, silent }.verdict(), expected, "{open} {reached} {silent}");
        }
    }
}

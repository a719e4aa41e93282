//! Whether the collector itself is cut off: nearly all clients that answered at their last collection fail at once, as
//! if the network were gone. Pure; not the waiting for it, and not what follows.
//!
//! From here a cut cable of the collector and a power cut at every client look the same. So it is decided by number:
//! nine of ten, and at least three. It is decided as soon as it can be, so that in a sweep in which others answer no
//! failure waits.

/// With fewer clients there is nothing to compare.
const LEAST: usize = 3;

/// What is known in the course of a sweep. It counts the clients that answered at their last collection; the others
/// say nothing new by failing again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Evidence {
    /// Those whose outcome is not known yet.
    pub open: usize,
    /// Those that answered, or failed by themselves.
    pub reached: usize,
    /// Those that failed as if the network were gone.
    pub silent: usize,
}

impl Evidence {
    /// Whether the collector is cut off; `None` while that is open.
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
            // As soon as a tenth has answered nothing waits any more.
            (449, 51, 0, Some(false)),
        ] {
            assert_eq!(Evidence { open, reached, silent }.verdict(), expected, "{open} {reached} {silent}");
        }
    }
}

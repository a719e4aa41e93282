//! The fuzz target of the data before encryption; see [`crate::fuzzing`].

use super::{Abuse, AlgorithmSet, Effort, FirstLines, Handshake};

/// The bytes of a server, after one byte for how they are split. The lines, the expensive steps and the end must not
/// depend on this, and every byte is passed on until a refusal.
pub fn handshake(data: &[u8]) {
    let Some((piece, said)) = data.split_first() else { return };
    assert_eq!(follow(said, usize::from(*piece).max(1)), follow(said, said.len().max(1)));
}

/// The lines, the expensive steps with their offsets, and the end.
fn follow(said: &[u8], piece: usize) -> (FirstLines, Vec<(usize, Effort)>, Result<bool, Abuse>) {
    let (mut handshake, mut lines) = (Handshake::new(AlgorithmSet::Legacy), FirstLines::default());
    let (mut steps, mut handed) = (Vec::new(), 0);
    for mut rest in said.chunks(piece) {
        while !rest.is_empty() {
            let portion = match handshake.take(rest, &mut lines) {
                Ok(portion) => portion,
                Err(abuse) => return (lines, steps, Err(abuse)),
            };
            assert!((1..=rest.len()).contains(&portion.bytes));
            handed += portion.bytes;
            steps.extend((portion.effort != Effort::Light).then_some((handed, portion.effort)));
            rest = rest.get(portion.bytes..).unwrap_or_default();
        }
    }
    assert_eq!(handed, said.len());
    (lines, steps, Ok(handshake.is_over()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_corpus_of_handshakes_is_replayed() {
        support::replay("handshake", super::handshake);
    }
}

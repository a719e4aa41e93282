//! Which mounts are hidden by others. Near-linear: the lines are sorted by path once, and whether a mount is above
//! another one is answered from an order of the tree.

use std::{cmp::Ordering, collections::HashMap, iter};

use super::line::Line;

/// A path with at least one mount.
struct Place {
    /// The mount that an access to the path reaches.
    top: usize,
    /// Whether it is reached.
    is_visible: bool,
}

/// For each line, whether the mount can be reached by its path: it is the last one on its path, and is mounted on what
/// is reached by the paths above.
pub(super) fn visible(lines: &[Line<'_>]) -> Vec<bool> {
    let tree = Tree::new(lines);
    let point = |index: usize| lines.get(index).map(|line| line.point.as_slice()).unwrap_or_default();
    let mut by_path: Vec<usize> = (0..lines.len()).collect();
    // Of mounts on one path, the order of the table is kept.
    by_path.sort_unstable_by(|one, other| compare(point(*one), point(*other)).then(one.cmp(other)));
    let mut visible = vec![false; lines.len()];
    // The places around the current one, innermost last.
    let mut around: Vec<Place> = Vec::new();
    for mounts in by_path.chunk_by(|one, other| point(*one) == point(*other)) {
        // On one path, the last is the one that is mounted on the others.
        let Some(top) = mounts.iter().copied().reduce(|top, next| if tree.is_above(next, top) { top } else { next })
        else {
            continue;
        };
        while around.last().is_some_and(|place| !is_within(point(top), point(place.top))) {
            around.pop();
        }
        let is_visible = around.last().is_none_or(|place| place.is_visible && tree.is_above(place.top, top));
        if let Some(of_top) = visible.get_mut(top) {
            *of_top = is_visible;
        }
        around.push(Place { top, is_visible });
    }
    visible
}

/// Sorts a directory before its contents, and these before its neighbours: as if `/` were the first character.
fn compare(one: &[u8], other: &[u8]) -> Ordering {
    let key = |byte: &u8| if *byte == b'/' { 0 } else { u16::from(*byte) + 1 };
    one.iter().map(key).cmp(other.iter().map(key))
}

/// Whether a path is in a directory or its contents.
fn is_within(path: &[u8], directory: &[u8]) -> bool {
    match path.strip_prefix(directory) {
        Some(rest) => rest.first().is_none_or(|first| *first == b'/') || directory == b"/",
        None => false,
    }
}

/// The tree of mounts, numbered so that a mount is above another if its numbers enclose those of the other.
struct Tree(Vec<(usize, usize)>);

impl Tree {
    fn new(lines: &[Line<'_>]) -> Self {
        let by_id: HashMap<u64, usize> = lines.iter().enumerate().map(|(index, line)| (line.id, index)).collect();
        let mut children: Vec<Vec<usize>> = iter::repeat_with(Vec::new).take(lines.len()).collect();
        let mut roots = Vec::new();
        for (index, line) in lines.iter().enumerate() {
            match by_id.get(&line.parent).filter(|parent| **parent != index) {
                Some(parent) => {
                    if let Some(list) = children.get_mut(*parent) {
                        list.push(index);
                    }
                }
                None => roots.push(index),
            }
        }
        let mut numbers = vec![None; lines.len()];
        let mut next = 0;
        // What is not below a root is in a circle, which no kernel makes: it then counts as a root.
        for start in roots.into_iter().chain(0..lines.len()) {
            // With the number of children that are visited already.
            let mut path = vec![(start, 0)];
            while let Some((index, visited)) = path.last_mut() {
                let Some(number) = numbers.get_mut(*index) else { break };
                if *visited == 0 {
                    if number.is_some() {
                        path.pop();
                        continue;
                    }
                    *number = Some((next, usize::MAX));
                    next += 1;
                }
                match children.get(*index).and_then(|list| list.get(*visited)) {
                    Some(child) => {
                        *visited += 1;
                        path.push((*child, 0));
                    }
                    None => {
                        if let Some((_, last)) = number {
                            *last = next;
                        }
                        path.pop();
                    }
                }
            }
        }
        Self(numbers.into_iter().map(Option::unwrap_or_default).collect())
    }

    /// Whether a mount is the other one, or is above it in the tree.
    fn is_above(&self, upper: usize, lower: usize) -> bool {
        match (self.0.get(upper), self.0.get(lower)) {
            (Some((from, to)), Some((first, _))) => from <= first && first < to,
            (None, _) | (_, None) => false,
        }
    }
}

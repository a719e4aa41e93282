//! The loaded part of a long list, and the next requests for it. Pure.
//!
//! Of a list of a million rows, only [`PAGES`] pages are loaded. When the operator moves on, rows at the other end are
//! dropped. They are requested again when the operator comes back.

use std::collections::BTreeSet;

use crate::fleet::listing::{ListKey, Listed, Page, Part, Wish};

/// The most loaded pages.
const PAGES: usize = 4;

/// The loaded part of a list, the newest row first.
#[derive(Debug, Clone)]
pub(super) struct Window<T> {
    /// The number of rows of a request.
    page: u32,
    /// `None` until the first answer.
    rows: Option<Vec<T>>,
    /// The keys of the newest and the oldest loaded row, readable or not.
    ends: Option<(ListKey, ListKey)>,
    /// The number of rows that are newer than the loaded part.
    above: u64,
    /// Newer rows.
    growth: Changes,
    /// Whether there are older rows.
    has_older: bool,
    /// The number of rows of the list.
    total: u64,
    /// The keys of rows that cannot be read.
    unreadable: BTreeSet<ListKey>,
    /// The request that was not answered yet.
    asked: Option<Asked>,
    /// The error of the last request. It is kept while the request is repeated.
    failed: Option<String>,
    /// Whether requests are paused because of that error.
    rests: bool,
    /// Changes of any rows.
    changes: Changes,
}

/// A request, and the changes that its answer includes: those that were known before it. A later one may have come too
/// late for the answer.
#[derive(Debug, Clone, Copy)]
struct Asked {
    wish: Wish,
    growth: u64,
    changes: u64,
}

/// Counts the changes of one kind.
#[derive(Debug, Clone, Copy, Default)]
struct Changes {
    known: u64,
    /// The number of those that the loaded part includes.
    loaded: u64,
}

impl Changes {
    fn add(&mut self) {
        self.known = self.known.saturating_add(1);
    }

    /// Whether the loaded part lacks one.
    fn is_due(self) -> bool {
        self.loaded < self.known
    }
}

impl<T: Listed> Window<T> {
    /// Without rows.
    pub(super) fn new(page: u32) -> Self {
        Self {
            page,
            rows: None,
            ends: None,
            above: 0,
            growth: Changes::default(),
            has_older: false,
            total: 0,
            unreadable: BTreeSet::new(),
            asked: None,
            failed: None,
            rests: false,
            changes: Changes::default(),
        }
    }

    /// The loaded rows; `None` until the first answer.
    pub(super) fn rows(&self) -> Option<&[T]> {
        self.rows.as_deref()
    }

    /// The number of rows of the list, including unreadable ones.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// The number of unreadable rows in the loaded part.
    pub(super) fn unreadable(&self) -> usize {
        self.unreadable.len()
    }

    /// The error of the last request.
    pub(super) fn failed(&self) -> Option<&str> {
        self.failed.as_deref()
    }

    /// The position of a loaded row in the whole list; the newest is the first.
    pub(super) fn place(&self, index: usize) -> u64 {
        self.above.saturating_add(index as u64).saturating_add(1)
    }

    /// Whether there are newer rows than the loaded ones, as far as known.
    pub(super) fn has_newer(&self) -> bool {
        self.above > 0
    }

    /// Whether there are older rows than the loaded ones.
    pub(super) fn has_older(&self) -> bool {
        self.has_older
    }

    /// The index of a row among the loaded ones, or where it would be.
    pub(super) fn position(&self, key: ListKey) -> usize {
        self.rows.as_deref().unwrap_or_default().partition_point(|row| row.key() > key)
    }

    /// Rows may have changed, so the loaded part is requested again.
    pub(super) fn outdate(&mut self) {
        self.changes.add();
        self.rests = false;
    }

    /// There is a newer row; the others are unchanged.
    pub(super) fn grow(&mut self) {
        self.growth.add();
        self.rests = false;
    }

    /// The operator has moved or time has passed, so a failed request may be repeated.
    pub(super) fn retry(&mut self) {
        self.rests = false;
    }

    /// Whether a further page has room without letting rows go.
    pub(super) fn has_room(&self) -> bool {
        let page = self.page as usize;
        self.rows.as_ref().map_or(0, Vec::len) + page <= PAGES * page
    }

    /// Pending requests will not be answered.
    pub(super) fn forget_questions(&mut self) {
        self.asked = None;
        self.outdate();
    }

    /// The next request for this selected row; `None` if a request is pending. The result counts as pending.
    pub(super) fn want(&mut self, selected: usize) -> Option<Wish> {
        if self.asked.is_some() || self.rests {
            return None;
        }
        let loaded = self.rows.as_ref().map(Vec::len);
        let margin = usize::try_from(self.page / 4).unwrap_or(usize::MAX);
        let (is_stale, has_grown) = (self.changes.is_due(), self.growth.is_due());
        let (part, most) = match (loaded, self.ends) {
            (None, _) => (Part::Newest, self.page),
            (Some(_), Some((first, _))) if is_stale && self.above > 0 => (Part::From(first), self.whole()),
            (Some(_), _) if is_stale => (Part::Newest, self.whole()),
            (Some(_), None) if has_grown => (Part::Newest, self.page),
            (Some(_), Some((first, _))) if has_grown && self.above == 0 => (Part::Newer(first), self.page),
            (Some(loaded), Some((_, last))) if self.has_older && selected.saturating_add(margin) >= loaded => {
                (Part::Older(last), self.page)
            }
            (Some(_), Some((first, _))) if self.above > 0 && selected < margin => (Part::Newer(first), self.page),
            (Some(_), _) => return None,
        };
        Some(self.note(part, most))
    }

    /// Requests another part in place of the loaded one and of a pending request.
    pub(super) fn jump(&mut self, part: Part) -> Wish {
        self.rests = false;
        self.note(part, self.page)
    }

    fn note(&mut self, part: Part, most: u32) -> Wish {
        let wish = Wish { part, most };
        self.asked = Some(Asked { wish, growth: self.growth.known, changes: self.changes.known });
        wish
    }

    /// The size of a request for as many rows as are loaded.
    fn whole(&self) -> u32 {
        let loaded = self.rows.as_ref().map_or(0, Vec::len);
        u32::try_from(loaded).unwrap_or(u32::MAX).clamp(self.page, self.page.saturating_mul(4))
    }

    /// A request failed. Returns whether it was still pending.
    pub(super) fn fail(&mut self, wish: Wish, why: &str) -> bool {
        let is_wanted = self.take_asked(wish).is_some();
        if is_wanted {
            self.failed = Some(why.to_owned());
            self.rests = true;
        }
        is_wanted
    }

    /// Applies an answer and moves `selected` with its row. Returns whether the request was still pending.
    pub(super) fn take(&mut self, wish: Wish, page: Page<T>, selected: &mut usize) -> bool {
        let Some(asked) = self.take_asked(wish) else { return false };
        self.failed = None;
        match (wish.part, self.ends) {
            (Part::Older(key), Some((first, last))) if key == last => self.append(page, first, selected),
            (Part::Newer(key), Some((first, last))) if key == first => {
                self.growth.loaded = asked.growth;
                self.prepend(page, last, selected);
            }
            (Part::Older(_) | Part::Newer(_), _) => return false,
            (part @ (Part::Newest | Part::Oldest | Part::From(_) | Part::At(_)), _) => {
                (self.growth.loaded, self.changes.loaded) = (asked.growth, asked.changes);
                self.replace(part, page, selected);
            }
        }
        let loaded = self.rows.as_ref().map_or(0, Vec::len) as u64;
        self.total = self.total.max(self.above.saturating_add(loaded));
        true
    }

    /// The request if it is this one. Then it is no longer pending.
    fn take_asked(&mut self, wish: Wish) -> Option<Asked> {
        self.asked.take_if(|asked| asked.wish == wish)
    }

    fn replace(&mut self, part: Part, page: Page<T>, selected: &mut usize) {
        let key = self.rows.as_ref().and_then(|rows| rows.get(*selected)).map(Listed::key);
        match part {
            Part::From(_) => self.follow(page.total),
            Part::Newest | Part::Oldest | Part::Older(_) | Part::Newer(_) | Part::At(_) => {
                (self.above, self.total) = (page.newer.unwrap_or(0), page.total);
            }
        }
        self.has_older = page.has_more && part != Part::Oldest;
        self.unreadable = page.unreadable.into_iter().collect();
        self.ends = page.ends;
        *selected = match (part, key) {
            (Part::Oldest, _) => page.rows.len().saturating_sub(1),
            (_, Some(key)) => page.rows.iter().position(|row| row.key() == key).unwrap_or(*selected),
            (_, None) => *selected,
        };
        self.rows = Some(page.rows);
    }

    /// Appends older rows, and drops newer ones if there are too many.
    fn append(&mut self, page: Page<T>, first: ListKey, selected: &mut usize) {
        self.follow(page.total);
        let rows = self.rows.get_or_insert_default();
        rows.extend(page.rows);
        self.unreadable.extend(page.unreadable);
        self.has_older = page.has_more;
        self.ends = page.ends.map_or(self.ends, |(_, last)| Some((first, last)));
        let over = rows.len().saturating_sub(PAGES * self.page as usize);
        if over > 0 {
            rows.drain(..over);
            self.above = self.above.saturating_add(over as u64);
            *selected = selected.saturating_sub(over);
            if let (Some(newest), Some((_, last))) = (rows.first(), self.ends) {
                self.ends = Some((newest.key(), last));
                self.unreadable.retain(|key| *key <= newest.key());
            }
        }
    }

    /// Prepends newer rows, and drops older ones if there are too many.
    fn prepend(&mut self, page: Page<T>, last: ListKey, selected: &mut usize) {
        let more = page.rows.len();
        self.total = page.total;
        self.above = if page.has_more { self.above.saturating_sub(more as u64).max(1) } else { 0 };
        let older = self.rows.take().unwrap_or_default();
        let mut rows = page.rows;
        rows.extend(older);
        self.unreadable.extend(page.unreadable);
        self.ends = page.ends.map_or(self.ends, |(first, _)| Some((first, last)));
        *selected = selected.saturating_add(more);
        let most = PAGES * self.page as usize;
        if rows.len() > most {
            rows.truncate(most);
            self.has_older = true;
            if let (Some(oldest), Some((first, _))) = (rows.last(), self.ends) {
                self.ends = Some((first, oldest.key()));
                self.unreadable.retain(|key| *key >= oldest.key());
            }
        }
        self.rows = Some(rows);
    }

    /// The list has grown at its newest end, beyond the loaded part.
    fn follow(&mut self, total: u64) {
        if self.above > 0 {
            self.above = self.above.saturating_add(total.saturating_sub(self.total));
        }
        self.total = total;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq)]
    struct Row(i64);

    impl Listed for Row {
        fn key(&self) -> ListKey {
            ListKey { order: self.0, id: Uuid::nil() }
        }
    }

    /// The answer of a database with the rows 1 to `last`, of which every hundredth cannot be read.
    fn answer(last: i64, wish: Wish) -> Page<Row> {
        let most = i64::from(wish.most);
        let (newest, oldest, has_more) = match wish.part {
            Part::Newest => (last, (last - most + 1).max(1), last > most),
            Part::Oldest => (most.min(last), 1, last > most),
            Part::From(key) => (key.order, (key.order - most + 1).max(1), key.order > most),
            Part::Older(key) => (key.order - 1, (key.order - most).max(1), key.order - 1 > most),
            Part::Newer(key) => ((key.order + most).min(last), key.order + 1, key.order + most < last),
            Part::At(at) => (at.as_second() + most / 2, at.as_second() - most / 2 + 1, true),
        };
        let keys = (oldest..=newest).rev();
        let ends = keys.clone().next().map(|newest| (Row(newest).key(), Row(oldest).key()));
        Page {
            rows: keys.clone().filter(|key| key % 100 != 0).map(Row).collect(),
            ends,
            unreadable: keys.filter(|key| key % 100 == 0).map(|key| Row(key).key()).collect(),
            newer: match wish.part {
                Part::Newest => Some(0),
                Part::Oldest | Part::At(_) => Some(u64::try_from(last - newest).unwrap()),
                Part::From(_) | Part::Older(_) | Part::Newer(_) => None,
            },
            has_more,
            total: u64::try_from(last).unwrap(),
        }
    }

    fn load(window: &mut Window<Row>, last: i64, selected: &mut usize) {
        for _ in 0..3 {
            let Some(wish) = window.want(*selected) else { return };
            assert_eq!(window.want(*selected), None, "two questions at a time");
            assert!(window.take(wish, answer(last, wish), selected));
        }
    }

    #[test]
    fn a_list_is_gone_through_to_its_end_and_back_and_little_of_it_is_kept() {
        let (mut window, mut selected, last) = (Window::new(40), 0, 1000);
        load(&mut window, last, &mut selected);
        let mut seen = Vec::new();
        for _ in 0..2 * last {
            let rows = window.rows().unwrap();
            assert!(rows.len() <= 160 && window.total() == 1000, "{}", rows.len());
            let row = rows[selected];
            seen.push(row.0);
            // Unreadable rows count for the position but are not among the rows.
            let before = u64::try_from((last - row.0) / 100).unwrap() + 1;
            let place = window.place(selected);
            let exact = u64::try_from(last - row.0 + 1).unwrap();
            assert!((exact - before..=exact).contains(&place), "{place} is not {exact}");
            selected = (selected + 1).min(rows.len() - 1);
            load(&mut window, last, &mut selected);
        }
        seen.dedup();
        let readable: Vec<i64> = (1..=last).rev().filter(|key| key % 100 != 0).collect();
        assert_eq!(seen, readable);
        assert!(!window.has_older() && window.has_newer() && window.unreadable() <= 2);
        for _ in 0..last {
            selected = selected.saturating_sub(1);
            load(&mut window, last, &mut selected);
        }
        assert_eq!((window.rows().unwrap()[selected], window.place(selected)), (Row(999), 1));
    }

    #[test]
    fn an_answer_that_is_not_waited_for_changes_nothing() {
        let (mut window, mut selected) = (Window::new(40), 0);
        let first = window.want(0).unwrap();
        let oldest = window.jump(Part::Oldest);
        assert!(!window.take(first, answer(1000, first), &mut selected));
        assert!(!window.fail(first, "too late"));
        assert_eq!((window.rows(), window.failed()), (None, None));
        assert!(window.take(oldest, answer(1000, oldest), &mut selected));
        assert_eq!((window.rows().unwrap()[selected], window.place(selected)), (Row(1), 1000));
    }

    #[test]
    fn what_failed_is_tried_again_when_the_operator_moves_and_not_before() {
        let mut window: Window<Row> = Window::new(40);
        let wish = window.want(0).unwrap();
        assert!(window.fail(wish, "is locked"));
        assert_eq!((window.want(0), window.failed()), (None, Some("is locked")));
        window.retry();
        assert_eq!(window.want(0), Some(wish));
    }

    /// A regression test: the answer had been read before the change, and the change was taken as shown.
    #[test]
    fn a_change_during_a_request_is_asked_for_after_the_answer() {
        let check = |change: fn(&mut Window<Row>), is_failed: bool, expected: Part| {
            let (mut window, mut selected) = (Window::new(40), 0);
            load(&mut window, 1000, &mut selected);
            change(&mut window);
            let wish = window.want(selected).unwrap();
            change(&mut window);
            if is_failed {
                assert!(window.fail(wish, "is locked"));
                window.retry();
            } else {
                assert!(window.take(wish, answer(1000, wish), &mut selected));
            }
            let again = window.want(selected).unwrap();
            assert_eq!(again.part, expected);
            assert!(window.take(again, answer(1001, again), &mut selected));
            assert_eq!((window.want(selected), window.rows().unwrap()[0]), (None, Row(1001)));
        };
        // The newest row, which cannot be read.
        let newer = Part::Newer(Row(1000).key());
        for is_failed in [false, true] {
            check(Window::outdate, is_failed, Part::Newest);
            check(Window::grow, is_failed, newer);
        }
    }

    #[test]
    fn the_selection_stays_with_its_row_when_newer_ones_come() {
        let (mut window, mut selected) = (Window::new(40), 0);
        load(&mut window, 1000, &mut selected);
        selected = 7;
        let row = window.rows().unwrap()[7];
        for (change, last) in [(Window::outdate as fn(&mut Window<Row>), 1003), (Window::grow, 1005)] {
            change(&mut window);
            load(&mut window, last, &mut selected);
            assert_eq!(window.rows().unwrap()[selected], row);
        }
    }

    proptest! {
        #[test]
        fn no_way_through_a_list_loses_it(steps in proptest::collection::vec((-60_isize..60, 0_u8..20), 1..200)) {
            let (mut window, mut selected, mut last) = (Window::new(40), 0_usize, 950);
            for (step, event) in steps {
                let rows = window.rows().map_or(0, <[Row]>::len);
                selected = selected.saturating_add_signed(step).min(rows.saturating_sub(1));
                match event {
                    0 => window.outdate(),
                    1 => { window.jump(Part::Oldest); window.forget_questions(); }
                    2 => { last += 3; window.grow(); }
                    3 => {
                        let wish = window.jump(Part::Oldest);
                        assert!(window.take(wish, answer(last, wish), &mut selected));
                    }
                    _ => {}
                }
                load(&mut window, last, &mut selected);
                let rows = window.rows().unwrap();
                prop_assert!(rows.len() <= 160 && selected < rows.len());
                let whole = rows.windows(2).all(|pair| {
                    let gap = pair[0].0 - pair[1].0;
                    gap == 1 || (gap == 2 && (pair[0].0 - 1) % 100 == 0)
                });
                prop_assert!(whole, "{rows:?}");
                prop_assert!(window.place(selected) <= window.total());
            }
        }
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Relocation: pages of an object get other home frames while work goes on.
//!
//! The owner copies, and nobody waits for that: whatever writes the pages at home,
//! or moves them to or from a window meanwhile, spoils the copy, and then they stay
//! where they are. Otherwise the copy becomes their home at a moment when nothing
//! uses the object, so nothing ever sees part of a move. Where to move them, and
//! why, is not known here.

use thiserror::Error;

use super::{Action, HomeRun, Manager};
use crate::{
    ContextId, Frame, Frames, ObjectId, PAGE_SHIFT, PageNumber, PhysicalOffset, Replacement,
    WindowState,
};

/// Pages of an object that follow each other at home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HomePart {
    /// Whose they are.
    pub context: ContextId,
    /// See `context`.
    pub object: ObjectId,
    /// First page of the object.
    pub start: PageNumber,
    /// First page of this part.
    pub first: PageNumber,
    /// Where they are at home.
    pub run: HomeRun,
}

/// A copy between home frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HomeCopy {
    /// First byte of what is copied.
    pub from: PhysicalOffset,
    /// Where it goes.
    pub to: PhysicalOffset,
    /// Number of bytes.
    pub bytes: u64,
}

/// Names a relocation under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelocationId(u64);

/// Why pages are not moved.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum NotMoved {
    /// The object is not there, or has no such pages at home.
    #[error("there are no such pages")]
    NoObject,
    /// Frames that it would go to are in use.
    #[error("the frames are in use")]
    NotFree,
    /// A window over the pages is being filled or written home, or the pages are
    /// on their way already.
    #[error("the pages are on the move")]
    Moving,
}

/// Pages on their way.
pub(super) struct Relocation {
    id: RelocationId,
    context: ContextId,
    object: ObjectId,
    first: PageNumber,
    to: HomeRun,
    copied: bool,
    /// The copy is not what the pages hold.
    spoiled: bool,
}

impl Relocation {
    fn overlaps(&self, context: ContextId, first: PageNumber, pages: u64) -> bool {
        self.context == context
            && self.first.0 < first.0 + pages
            && first.0 < self.first.0 + u64::from(self.to.count.0)
    }
}

impl<R: Replacement> Manager<R> {
    /// Where all objects are at home, by context and object.
    pub fn home_parts(&self) -> impl Iterator<Item = HomePart> + '_ {
        self.contexts.iter().flat_map(move |(&context, found)| {
            found.objects.values().flat_map(move |&id| {
                let object = self.objects.get(&id.0);
                let parts = object.map_or(&[][..], |object| object.home.as_slice());
                let start = object.map_or(PageNumber(0), |object| object.first_page);
                parts.iter().map(move |&(page, run)| HomePart {
                    context,
                    object: id,
                    start,
                    first: PageNumber(start.0 + page),
                    run,
                })
            })
        })
    }

    /// Where a page is at home; `None` when there is no such page.
    pub fn home_frame(&self, object: ObjectId, page: PageNumber) -> Option<Frame> {
        let found = self.objects.get(&object.0)?;
        let inside = page >= found.first_page && page.0 < found.first_page.0 + found.pages;
        let (frame, _) = found.home_of(page).filter(|_| inside)?;
        Some(frame)
    }

    /// Home frames up to the end of the last one in use.
    pub fn home_end(&self) -> u64 {
        let frames = self.config.memory.0 - self.config.aperture.0;
        let last = self.home.last();
        let last = last.filter(|run| run.first.0 + run.count.0 == self.config.memory.0);
        u64::from(last.map_or(frames, |run| frames - run.count.0))
    }

    /// The runs of home frames that are free, lowest first.
    pub fn free_home_runs(&self) -> impl Iterator<Item = HomeRun> + '_ {
        self.home.runs()
    }

    /// Objects that are at home in more than one run.
    pub fn scattered_objects(&self) -> u64 {
        self.scattered
    }

    /// Frames that relocations under way have set aside.
    pub(super) fn relocating_frames(&self) -> u64 {
        let frames = self.relocations.iter().map(|it| u64::from(it.to.count.0));
        frames.sum()
    }

    /// Starts to move pages from `first` on, as many as `to` has frames, to these
    /// frames. The owner is told what to copy.
    ///
    /// # Errors
    /// [`NotMoved`]; nothing has changed then.
    pub fn relocate(
        &mut self,
        context: ContextId,
        object: ObjectId,
        first: PageNumber,
        to: HomeRun,
    ) -> Result<RelocationId, NotMoved> {
        let pages = u64::from(to.count.0);
        let owner = self.contexts.get(&context).ok_or(NotMoved::NoObject)?;
        let found = self.objects.get(&object.0).ok_or(NotMoved::NoObject)?;
        let end = found.first_page.0 + found.pages;
        let inside = first >= found.first_page
            && first.0.checked_add(pages).is_some_and(|last| last <= end)
            && owner.objects.get(&found.first_page.0) == Some(&object)
            && !found.home.is_empty();
        if !inside || pages == 0 {
            return Err(NotMoved::NoObject);
        }
        let overlaps = |it: &Relocation| it.overlaps(context, first, pages);
        if self.relocations.iter().any(overlaps) || self.moves_through(context, first, pages) {
            return Err(NotMoved::Moving);
        }
        if !self.home.take(to) {
            return Err(NotMoved::NotFree);
        }
        let mut copies = Vec::with_capacity(1);
        owner.table.home_runs(first, pages, |page, count, valid| {
            if !valid {
                return;
            }
            found.visit_home(page, count, |done, from, pages| {
                let into = page.0 - first.0 + done;
                copies.push(HomeCopy {
                    from,
                    to: PhysicalOffset(to.first.offset().0 + (into << PAGE_SHIFT)),
                    bytes: pages << PAGE_SHIFT,
                });
            });
        });
        let relocation = RelocationId(self.next_relocation);
        self.next_relocation += 1;
        self.relocations.push(Relocation {
            id: relocation,
            context,
            object,
            first,
            to,
            copied: false,
            spoiled: false,
        });
        self.actions
            .push_back(Action::Relocate { relocation, copies });
        Ok(relocation)
    }

    /// What [`Action::Relocate`] named is copied. It takes effect as soon as nothing
    /// in flight uses the object, or not at all.
    pub fn relocated(&mut self, relocation: RelocationId) {
        let found = self.relocations.iter_mut().find(|it| it.id == relocation);
        let Some(found) = found else {
            return;
        };
        found.copied = true;
        let object = found.object;
        self.end_relocations(object);
    }

    /// Whether a relocation has not ended.
    pub fn is_relocating(&self, relocation: RelocationId) -> bool {
        self.relocations.iter().any(|it| it.id == relocation)
    }

    /// Leaves the pages where they are, as when something had used them.
    pub fn abandon_relocation(&mut self, relocation: RelocationId) {
        let found = self.relocations.iter_mut().find(|it| it.id == relocation);
        if let Some(found) = found {
            found.spoiled = true;
            let object = found.object;
            self.end_relocations(object);
        }
    }

    /// The home of these pages is written, or copied to or from.
    pub(super) fn spoil_relocations(&mut self, id: ContextId, first: PageNumber, pages: u64) {
        for relocation in &mut self.relocations {
            relocation.spoiled |= relocation.overlaps(id, first, pages);
        }
    }

    /// Whether a window over the pages is on its way from or to home.
    fn moves_through(&self, id: ContextId, first: PageNumber, pages: u64) -> bool {
        let end = first.0 + pages;
        let Some(context) = self.contexts.get(&id) else {
            return false;
        };
        let mut page = first;
        while let Some((found, slot)) = context.table.next_mapped(page, end) {
            let window = &self.windows[slot.0 as usize];
            if matches!(
                window.state,
                WindowState::Filling | WindowState::WritingHome
            ) {
                return true;
            }
            page = PageNumber(window.first_page.0 + u64::from(window.pages().0)).max(found);
        }
        self.written_in_flight(id, first, pages)
    }

    /// Ends the relocations of an object that are copied, unless something uses it.
    pub(super) fn end_relocations(&mut self, object: ObjectId) {
        let gone = |found: &super::object::Object| found.destroyed.is_some();
        let known = self.objects.get(&object.0).filter(|found| !gone(found));
        let used = known.is_some_and(|found| found.users > 0);
        let exists = known.is_some();
        while let Some(at) = self.relocations.iter().position(|it| {
            let spoiled = it.spoiled || !exists;
            it.object == object && it.copied && (spoiled || !used)
        }) {
            let relocation = self.relocations.swap_remove(at);
            if relocation.spoiled || !exists {
                self.counters.relocations_spoiled += 1;
                self.scrub(relocation.to);
            } else {
                self.settle_relocation(&relocation);
            }
        }
    }

    /// The copy becomes the pages' home.
    fn settle_relocation(&mut self, relocation: &Relocation) {
        let Relocation { first, to, .. } = *relocation;
        let pages = u64::from(to.count.0);
        let (Some(context), Some(object)) = (
            self.contexts.get(&relocation.context),
            self.objects.get_mut(&relocation.object.0),
        ) else {
            self.scrub(to);
            return;
        };
        let freed = object.freed(&context.table, first, pages);
        let scattered = object.home.len() > 1;
        object.rehome(first.0 - object.first_page.0, to);
        self.scattered += u64::from(object.home.len() > 1);
        self.scattered -= u64::from(scattered);
        self.counters.relocations += 1;
        self.counters.relocated_frames += pages;
        self.give_back(freed);
    }
}

impl super::object::Object {
    /// Gives pages from `page` of the object on another home; parts that have come
    /// to lie side by side are joined.
    fn rehome(&mut self, page: u64, to: HomeRun) {
        let end = page + u64::from(to.count.0);
        let mut parts = Vec::with_capacity(self.home.len() + 2);
        for &(start, run) in &self.home {
            let stop = start + u64::from(run.count.0);
            let mut keep = |from: u64, until: u64| {
                if from < until {
                    let first = Frame(run.first.0 + (from - start) as u32);
                    let count = Frames((until - from) as u32);
                    parts.push((from, HomeRun { first, count }));
                }
            };
            keep(start, stop.min(page));
            keep(start.max(end), stop);
        }
        let place = parts.partition_point(|(start, _)| *start < page);
        parts.insert(place, (page, to));
        parts.dedup_by(|(_, next), (_, kept)| {
            let joins = kept.first.0 + kept.count.0 == next.first.0;
            if joins {
                kept.count.0 += next.count.0;
            }
            joins
        });
        self.home = parts;
    }
}

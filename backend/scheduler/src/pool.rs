// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many short singly linked lists in one array.
//!
//! Successors of instructions and readers of cells are lists that grow by one
//! and die as a whole; a shared array with a free list keeps them compact and
//! lets their total be bounded.  It knows nothing of what the lists hold.

/// The empty list.
pub const EMPTY: u32 = u32::MAX;

/// Values that there is room for at first.
const FIRST_ROOM: usize = 128;

/// Lists of `T`; a list is the index of its head.
#[derive(Debug)]
pub struct Pool<T> {
    nodes: Vec<(T, u32)>,
    free: u32,
    live: usize,
}

impl<T: Copy> Pool<T> {
    pub fn new() -> Self {
        Self {
            nodes: Vec::with_capacity(FIRST_ROOM),
            free: EMPTY,
            live: 0,
        }
    }

    /// Number of values in all lists.
    pub fn len(&self) -> usize {
        self.live
    }

    /// Puts `value` in front of the list `head`.
    pub fn push(&mut self, head: &mut u32, value: T) {
        self.live += 1;
        let taken = self.free;
        if let Some(node) = self.nodes.get_mut(taken as usize) {
            self.free = node.1;
            *node = (value, *head);
            *head = taken;
        } else {
            let fresh = self.nodes.len() as u32;
            self.nodes.push((value, *head));
            *head = fresh;
        }
    }

    /// Takes the first value off the list `head`.
    pub fn pop(&mut self, head: &mut u32) -> Option<T> {
        let at = *head;
        let node = self.nodes.get_mut(at as usize)?;
        *head = node.1;
        node.1 = self.free;
        self.free = at;
        self.live -= 1;
        Some(node.0)
    }

    /// The value of the list `head`, when it has just one.
    #[inline]
    pub fn only_mut(&mut self, head: u32) -> Option<&mut T> {
        let (value, next) = self.nodes.get_mut(head as usize)?;
        (*next == EMPTY).then_some(value)
    }

    /// The values of the list `head`, last pushed first.
    pub fn iter(&self, head: u32) -> impl Iterator<Item = T> + '_ {
        let mut at = head;
        std::iter::from_fn(move || {
            let node = self.nodes.get(at as usize)?;
            at = node.1;
            Some(node.0)
        })
    }

    /// Keeps the values for which `keep` holds and returns how many stay.
    pub fn retain(&mut self, head: &mut u32, mut keep: impl FnMut(&mut T) -> bool) -> u32 {
        let mut kept = EMPTY;
        let mut count = 0;
        while let Some(mut value) = self.pop(head) {
            if keep(&mut value) {
                self.push(&mut kept, value);
                count += 1;
            }
        }
        *head = kept;
        count
    }

    /// Frees the whole list.
    pub fn clear(&mut self, head: &mut u32) {
        while self.pop(head).is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freed_nodes_are_used_again() {
        let mut pool = Pool::new();
        let (mut first, mut second) = (EMPTY, EMPTY);
        for round in 0..100 {
            for value in 0..10 {
                pool.push(&mut first, value + round);
                pool.push(&mut second, value);
            }
            assert_eq!(pool.retain(&mut first, |value| *value % 2 == 0), 5);
            assert_eq!(pool.iter(first).count(), 5);
            pool.clear(&mut first);
            pool.clear(&mut second);
        }
        assert_eq!(pool.len(), 0);
        assert_eq!(pool.nodes.len(), 20);
    }
}

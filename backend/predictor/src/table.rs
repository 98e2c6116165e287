// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fixed-size hashed tables: the only growing thing is the hit rate.
//!
//! A table is direct-mapped. Two keys that fall on one place evict each
//! other, which bounds memory and time whatever a guest touches.

/// Spreads the bits of `key` (the finalizer of SplitMix64).
pub const fn mix(key: u64) -> u64 {
    let mut x = key.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A direct-mapped table from 64-bit keys to `T`.
#[derive(Clone, Debug)]
pub struct Table<T> {
    entries: Vec<Option<(u64, T)>>,
    mask: usize,
}

impl<T: Default> Table<T> {
    /// An empty table of 2^`bits` places.
    pub fn new(bits: u32) -> Self {
        let places = 1_usize << bits;
        Self {
            entries: std::iter::repeat_with(|| None).take(places).collect(),
            mask: places - 1,
        }
    }

    /// What is stored for `key`.
    pub fn get(&self, key: u64) -> Option<&T> {
        match self.entries.get(mix(key) as usize & self.mask) {
            Some(Some((stored, value))) if *stored == key => Some(value),
            _ => None,
        }
    }

    /// What is stored for `key`, to be changed.
    pub fn get_mut(&mut self, key: u64) -> Option<&mut T> {
        match self.entries.get_mut(mix(key) as usize & self.mask) {
            Some(Some((stored, value))) if *stored == key => Some(value),
            _ => None,
        }
    }

    /// What is stored for `key`, or a default put in the place of whatever
    /// was there.
    pub fn entry(&mut self, key: u64) -> &mut T {
        let place = mix(key) as usize & self.mask;
        let entry = &mut self.entries[place];
        if !matches!(entry, Some((stored, _)) if *stored == key) {
            *entry = None;
        }
        &mut entry.get_or_insert_with(|| (key, T::default())).1
    }

    /// Takes out what is stored for `key`.
    pub fn remove(&mut self, key: u64) -> Option<T> {
        let place = mix(key) as usize & self.mask;
        let entry = self.entries.get_mut(place)?;
        match entry {
            Some((stored, _)) if *stored == key => entry.take().map(|(_, value)| value),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_finds_its_own_value_or_nothing() {
        let mut table = Table::<u64>::new(4);
        for key in 0..1000 {
            *table.entry(key) = key + 1;
            assert_eq!(table.get(key), Some(&(key + 1)));
        }
        let kept = (0..1000).filter(|&key| table.get(key).is_some()).count();
        assert!(kept <= 16);
        for key in 0..1000 {
            assert!(table.get(key).is_none_or(|&value| value == key + 1));
        }
    }
}

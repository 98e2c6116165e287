// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pages of all contexts as one number, so that experts and counters need not tell
//! contexts apart.

use augur_memory::{ContextId, PageNumber};

/// Contexts are told apart by the bits from this one on.
const CONTEXT_SHIFT: u32 = 40;

/// The number of a page of a context.
pub fn key(context: ContextId, page: PageNumber) -> u64 {
    (u64::from(context.0) << CONTEXT_SHIFT) | page.0
}

/// The context of a number.
pub fn context_of(key: u64) -> ContextId {
    ContextId((key >> CONTEXT_SHIFT) as u32)
}

/// The page of a number, if it is one of `context`.
pub fn page_of(context: ContextId, key: u64) -> Option<PageNumber> {
    (key >> CONTEXT_SHIFT == u64::from(context.0))
        .then_some(PageNumber(key & ((1 << CONTEXT_SHIFT) - 1)))
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Counters by name, for tables and JSON.

use augur_abi::control::CountersResponse;
use zerocopy::IntoBytes;

use crate::uapi::QueryDriver;

/// Counters of [`CountersResponse`] that say how things are now; the others
/// only grow.
const NOW: [&str; 12] = [
    "time_ns",
    "contexts",
    "objects",
    "object_bytes",
    "windows",
    "window_bytes",
    "free_visible_bytes",
    "quarantined_bytes",
    "speculative_bytes",
    "tracked_regions",
    "home_end_bytes",
    "fallback",
];

/// Every counter of the card with its name, in the order of the datasheet.
pub fn card_counters(counters: &CountersResponse) -> Vec<(&'static str, u64)> {
    let (values, _) = counters.as_bytes().as_chunks::<8>();
    CountersResponse::DESCRIPTION
        .fields
        .iter()
        .zip(values)
        .map(|(field, value)| (field.name, u64::from_le_bytes(*value)))
        .collect()
}

/// How much each counter that only grows has grown.
pub fn growth(before: &CountersResponse, after: &CountersResponse) -> Vec<(&'static str, u64)> {
    card_counters(before)
        .into_iter()
        .zip(card_counters(after))
        .filter(|((name, _), _)| !NOW.contains(name))
        .map(|((name, before), (_, after))| (name, after.saturating_sub(before)))
        .collect()
}

/// Every counter of the driver with its name.
pub fn driver_counters(counters: &QueryDriver) -> [(&'static str, u64); 10] {
    [
        ("page_faults", counters.page_faults),
        ("demand_faults", counters.demand_faults),
        ("events", counters.events),
        ("stale_events", counters.stale_events),
        ("revokes", counters.revokes),
        ("dirty_revokes", counters.dirty_revokes),
        ("resyncs", counters.resyncs),
        ("windows", counters.windows),
        ("objects", counters.objects),
        ("submissions", counters.submissions),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_is_a_word_with_its_own_name() {
        let counters = CountersResponse {
            time_ns: 7,
            fallback: 9,
            ..Default::default()
        };
        let named = card_counters(&counters);
        assert_eq!(named.len() * 8, CountersResponse::BYTES);
        assert_eq!(named.first(), Some(&("time_ns", 7)));
        assert_eq!(named.last(), Some(&("fallback", 9)));
        for name in NOW {
            assert!(named.iter().any(|(known, _)| *known == name), "{name}");
        }
    }

    #[test]
    fn growth_leaves_out_what_is_only_true_now() {
        let before = CountersResponse {
            faults: 5,
            windows: 3,
            ..Default::default()
        };
        let after = CountersResponse {
            faults: 12,
            windows: 1,
            ..Default::default()
        };
        let growth = growth(&before, &after);
        assert!(growth.contains(&("faults", 7)));
        assert!(!growth.iter().any(|(name, _)| *name == "windows"));
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Answers to the requests for counters and sensors.

use std::sync::atomic::{AtomicU64, Ordering};

use augur_abi::Status;
use augur_abi::control::{CountersResponse, SensorsResponse};
use augur_scheduler::profile::Profile;

use crate::control::append;
use crate::shared::Shared;

fn total(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// What the card's sensors say.
pub(crate) fn sensors(shared: &Shared, body: &[u8], out: &mut Vec<u8>) -> Result<(), Status> {
    if !body.is_empty() {
        return Err(Status::Invalid);
    }
    let core = shared.core();
    append(
        out,
        &SensorsResponse {
            time_ns: shared.now().0,
            compute_ns: total(&shared.totals.compute_ns),
            dma_ns: total(&shared.totals.dma_ns),
            energy_uj: core.power.microjoules(),
            power_uw: core.power.microwatts,
            temperature_mc: core.power.millidegrees(),
            engine_mhz: core.power.megahertz(),
            engine_max_mhz: shared.config.power.engine_megahertz,
            reserved: 0,
        },
    );
    Ok(())
}

/// All counters.
pub(crate) fn counters(shared: &Shared, body: &[u8], out: &mut Vec<u8>) -> Result<(), Status> {
    if !body.is_empty() {
        return Err(Status::Invalid);
    }
    let totals = &shared.totals;
    let learning = &shared.prediction.totals;
    let page = augur_abi::PAGE_BYTES;
    let scheduling = shared.dispatch.totals();
    let core = shared.core();
    let memory = core.manager.counters();
    append(
        out,
        &CountersResponse {
            time_ns: shared.now().0,
            lives: core.lives,
            contexts: core.contexts.len() as u64,
            objects: memory.objects,
            object_bytes: memory.object_frames * page,
            windows: memory.windows,
            window_bytes: memory.window_frames * page,
            free_visible_bytes: core.manager.free_visible().bytes(),
            quarantined_bytes: memory.quarantined_frames * page,
            faults: memory.faults,
            fault_ns: memory.fault_time.0,
            maps: memory.maps,
            revokes: memory.revokes,
            clean_drops: memory.clean_drops,
            filled_bytes: memory.filled_bytes,
            zeroed_bytes: memory.zeroed_bytes,
            written_home_bytes: memory.written_home_bytes,
            stale_acks: memory.stale_acks,
            resyncs: u64::from(core.events.resyncs),
            lists: total(&totals.lists),
            failed_lists: total(&totals.failed_lists),
            commands: total(&totals.commands),
            compute_ns: total(&totals.compute_ns),
            dma_ns: total(&totals.dma_ns),
            dma_in_bytes: total(&totals.dma_in_bytes),
            dma_out_bytes: total(&totals.dma_out_bytes),
            refused_requests: total(&totals.refused_requests),
            maps_ahead: memory.maps_ahead,
            ahead_used: memory.ahead_used,
            ahead_unused: memory.ahead_unused,
            late_faults: memory.late,
            speculative_bytes: memory.speculative_frames * page,
            touches: total(&learning.touches),
            touches_lost: total(&learning.touches_lost),
            touches_refused: total(&learning.touches_refused),
            accesses_dropped: shared.prediction.dropped(),
            learning_ns: total(&learning.learning_ns),
            zaps: memory.watched,
            zaps_refaulted: memory.watched_used,
            tracked_regions: scheduling.regions,
            edges: scheduling.edges,
            splits: scheduling.splits + total(&totals.divisions),
            merges: scheduling.merges + total(&totals.reunions),
            replayed_commands: scheduling.replayed,
            near_commands: scheduling.near,
            stolen_commands: scheduling.stolen,
            analysis_ns: scheduling.analysis(&Profile::default()).0,
            held_ranges: total(&totals.held_ranges),
            held_runs: total(&totals.held_runs),
            relocations: memory.relocations,
            relocated_bytes: memory.relocated_frames * page,
            relocations_spoiled: memory.relocations_spoiled,
            peak_object_bytes: memory.peak_object_frames * page,
            home_end_bytes: core.manager.home_end() * page,
            fallbacks_to_nothing: total(&learning.fallbacks_to_nothing),
            fallbacks_to_next: total(&learning.fallbacks_to_next),
            fallback: total(&learning.fallback),
        },
    );
    Ok(())
}

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the signs of a card's life mean.
 *
 * Pure logic: compiled for the host as well and tested there.
 */
#ifndef _AUGUR_HEALTH_H_
#define _AUGUR_HEALTH_H_

#include <linux/types.h>

/* Samples without a heartbeat before the card counts as lost. */
#define AUGUR_HEARTBEAT_SAMPLES	6

/**
 * enum augur_verdict - what is to be done
 * @AUGUR_VERDICT_WELL: Nothing.
 * @AUGUR_VERDICT_RESET: Reset the card, which keeps what contexts have on it.
 * @AUGUR_VERDICT_FAILED: Give it up: it has failed.
 * @AUGUR_VERDICT_ENDED: Give it up: its process has ended.
 * @AUGUR_VERDICT_BROKEN: Give it up: a ring is broken.
 * @AUGUR_VERDICT_STOPPED: Give it up: its heart has stopped.
 */
enum augur_verdict {
	AUGUR_VERDICT_WELL,
	AUGUR_VERDICT_RESET,
	AUGUR_VERDICT_FAILED,
	AUGUR_VERDICT_ENDED,
	AUGUR_VERDICT_BROKEN,
	AUGUR_VERDICT_STOPPED,
};

/**
 * struct augur_signs - what was seen of a card
 * @state: AUGUR_STATE_* of the map header.
 * @heartbeat: The map header's.
 * @ring_broken: The virtio core has given a ring up.
 * @needs_reset: The device status says so.
 */
struct augur_signs {
	u32 state;
	u64 heartbeat;
	bool ring_broken;
	bool needs_reset;
};

/**
 * struct augur_health - what was seen before
 * @heartbeat: Last heartbeat seen.
 * @misses: Samples since it moved.
 */
struct augur_health {
	u64 heartbeat;
	u32 misses;
};

enum augur_verdict augur_health_judge(struct augur_health *health,
				      const struct augur_signs *signs);

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Events from the card.
 */
#ifndef _AUGUR_EVENT_H_
#define _AUGUR_EVENT_H_

struct augur_device;
struct augur_request;
struct virtqueue;
struct work_struct;

/* augur_event.c */
int augur_events_init(struct augur_device *adev);
void augur_events_fini(struct augur_device *adev);
int augur_events_post(struct augur_device *adev);
void augur_events_done(struct virtqueue *vq);
void augur_events_resume(struct augur_device *adev);
void augur_events_stop(struct augur_device *adev);
void augur_events_look(struct augur_device *adev);
void augur_events_look_begin(struct augur_device *adev);
void augur_events_look_end(struct augur_device *adev);
void augur_events_drain(struct augur_device *adev);

/* augur_revoke.c */
void augur_event_revoke(struct augur_device *adev, u32 slot, u32 generation);
void augur_revokes_finish(struct augur_device *adev);
void augur_lease_work(struct work_struct *work);

/* augur_resync.c */
void augur_resync(struct augur_device *adev);
struct augur_request *augur_resync_request(void);

#endif

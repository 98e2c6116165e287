/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The submit queues.
 */
#ifndef _AUGUR_QUEUE_H_
#define _AUGUR_QUEUE_H_

#include <linux/types.h>

struct augur_device;
struct augur_fence;
struct augur_list;
struct augur_queue;
struct virtqueue;

/* augur_queue.c */
int augur_queues_init(struct augur_device *adev);
void augur_queues_fini(struct augur_device *adev);
void augur_queue_add(struct augur_queue *queue, struct augur_list *list);
void augur_queue_collect(struct augur_queue *queue);
void augur_queue_done(struct virtqueue *vq);
void augur_queue_look(struct augur_queue *queue, struct augur_fence *fence, bool once);
void augur_queue_reap(struct augur_queue *queue, struct augur_list *list);
void augur_queues_feed(struct augur_device *adev);

/* augur_queue_empty.c */
bool augur_queue_abandon(struct augur_queue *queue, struct augur_list *list);
void augur_queues_settle(struct augur_device *adev);
bool augur_queues_are_idle(struct augur_device *adev);
void augur_queues_cancel(struct augur_device *adev);
void augur_queues_fail(struct augur_device *adev);
void augur_queues_give_up(struct augur_device *adev, int error);
void augur_queues_drain(struct augur_device *adev);

#endif

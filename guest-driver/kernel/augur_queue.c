// SPDX-License-Identifier: GPL-2.0
/*
 * The submit queues: lists in the ring, and lists that have come back.
 *
 * A list in the ring belongs to the card with all memory that it names, until the
 * card uses it or is reset. When the card is lost its fence is signalled, but its
 * memory stays pinned: the card may still be writing there.
 *
 * A program that submits a small list and waits for it at once finds it ended by
 * looking, and an interrupt for each list would cost it more than the list. While
 * waits go like that (the queue's rhythm) interrupts stay off between them; a timer
 * looks after lists that nobody waits for, and ends the rhythm.
 */
#include <linux/slab.h>

#include "augur_context.h"
#include "augur_control.h"
#include "augur_device.h"
#include "augur_fence.h"
#include "augur_list.h"
#include "augur_look.h"
#include "augur_queue.h"
#include "augur_transfer.h"

/* How long a list may stay unnoticed after the last wait. */
#define AUGUR_RHYTHM_NS	(200 * NSEC_PER_USEC)

/* Has the timer see to what is in the ring. The queue's lock is held. */
static void augur_queue_watch(struct augur_queue *queue)
{
	if (queue->rhythm && !hrtimer_active(&queue->watch))
		hrtimer_start(&queue->watch, ns_to_ktime(AUGUR_RHYTHM_NS),
			      HRTIMER_MODE_REL);
}

/*
 * Has interrupts on when they are needed. The queue's lock is held. Return: whether
 * lists have come back meanwhile.
 */
static bool augur_queue_rearm(struct augur_queue *queue)
{
	if (queue->lookers || queue->rhythm || augur_rings_are_away(queue->adev))
		return false;
	return !virtqueue_enable_cb(queue->vq);
}

/*
 * Puts lists into the ring, as far as there is room. The queue's lock is held, under
 * which the card is told too: whoever takes the rings away waits for it.
 */
static void augur_queue_feed(struct augur_queue *queue)
{
	struct augur_list *list;
	bool added = false;
	int ret = 0;

	if (augur_device_is_lost(queue->adev) || READ_ONCE(queue->adev->pause))
		return;
	while ((list = list_first_entry_or_null(&queue->waiting, struct augur_list, link))) {
		u32 pieces = DIV_ROUND_UP(list->bytes, AUGUR_PIECE_BYTES);
		struct scatterlist *sgs[] = { list->sg, list->sg + pieces };

		ret = virtqueue_add_sgs(queue->vq, sgs, 1, 1, list, GFP_ATOMIC);
		if (ret)
			break;
		list_move_tail(&list->link, &queue->in_flight);
		added = true;
	}
	if (added) {
		augur_queue_watch(queue);
		if (virtqueue_kick_prepare(queue->vq))
			virtqueue_notify(queue->vq);
	}
	/* No memory for an indirect table, and nothing whose end would try again. */
	if (ret && list_empty(&queue->in_flight))
		mod_delayed_work(queue->adev->submit_workqueue, &queue->feed, 1);
}

/**
 * augur_queue_add - put a list into the ring, or have it wait for room
 * @queue: The submit queue, its lock held.
 * @list: The list, in &augur_stream.held.
 */
void augur_queue_add(struct augur_queue *queue, struct augur_list *list)
{
	list_move_tail(&list->link, &queue->waiting);
	augur_queue_feed(queue);
}

static void augur_queue_feed_work(struct work_struct *work)
{
	struct augur_queue *queue = container_of(work, struct augur_queue, feed.work);

	spin_lock_irq(&queue->lock);
	augur_queue_feed(queue);
	spin_unlock_irq(&queue->lock);
}

/* Signals a list that has come back from the ring. */
static void augur_list_finish(struct augur_list *list)
{
	u32 status = le32_to_cpu(list->status.status);

	if (list->abandoned)
		return;
	/* The program did not cancel it. */
	if (list->hung && status == AUGUR_STATUS_CANCELLED)
		list->status.status = cpu_to_le32(AUGUR_STATUS_DEVICE_ERROR);
	status = le32_to_cpu(list->status.status);
	augur_list_end(list, &list->status, augur_status_to_errno(status));
}

/* Frees what lists that have ended hold. May sleep. */
static void augur_queue_reap_done(struct augur_queue *queue)
{
	struct llist_node *done = llist_reverse_order(llist_del_all(&queue->done));
	struct augur_list *list, *next;

	llist_for_each_entry_safe(list, next, done, reap_link) {
		augur_transfers_release(list);
		if (list->signal_late)
			augur_list_finish(list);
		augur_list_put(list);
	}
}

static void augur_queue_reap_work(struct work_struct *work)
{
	augur_queue_reap_done(container_of(work, struct augur_queue, reap));
}

/*
 * Leaves the memory of a list to whoever frees it. Any context. Return: whether
 * nobody has been told to.
 */
static bool augur_queue_leave(struct augur_queue *queue, struct augur_list *list)
{
	if (list->transfer_count)
		return llist_add(&list->reap_link, &queue->done);
	augur_list_put(list);
	return false;
}

/**
 * augur_queue_reap - have the memory of a list given back
 * @queue: The submit queue.
 * @list: A list that the card does not use; its reference is taken over.
 *
 * Any context: unpinning, which may sleep, is left to a worker.
 */
void augur_queue_reap(struct augur_queue *queue, struct augur_list *list)
{
	if (augur_queue_leave(queue, list))
		queue_work(queue->adev->submit_workqueue, &queue->reap);
}

/*
 * Signals the lists that have come back. Any context, no lock held. Return: whether
 * the caller has to see to it that what they hold is freed.
 */
static bool augur_queue_take(struct augur_queue *queue)
{
	bool reap = false;
	struct augur_list *list, *next;
	unsigned long flags;
	LIST_HEAD(done);
	u32 used;

	spin_lock_irqsave(&queue->lock, flags);
	while (!augur_rings_are_away(queue->adev) &&
	       (list = virtqueue_get_buf(queue->vq, &used))) {
		list_move_tail(&list->link, &done);
		if (used < sizeof(list->status))
			list->status = (struct augur_submit_status) {
				.status = cpu_to_le32(AUGUR_STATUS_DEVICE_ERROR),
			};
	}
	if (!list_empty(&done))
		augur_queue_feed(queue);
	spin_unlock_irqrestore(&queue->lock, flags);

	list_for_each_entry_safe(list, next, &done, link) {
		list_del_init(&list->link);
		if (!list->signal_late)
			augur_list_finish(list);
		reap |= augur_queue_leave(queue, list);
	}
	return reap;
}

/**
 * augur_queue_collect - end the lists that have come back
 * @queue: The submit queue.
 *
 * Any context, no lock held.
 */
void augur_queue_collect(struct augur_queue *queue)
{
	if (augur_queue_take(queue))
		queue_work(queue->adev->submit_workqueue, &queue->reap);
}

/**
 * augur_queue_done - the card has used descriptors of a submit queue
 * @vq: The queue.
 */
void augur_queue_done(struct virtqueue *vq)
{
	struct augur_device *adev = vq->vdev->priv;

	augur_queue_collect(&adev->queues[vq->index - AUGUR_QUEUE_SUBMIT]);
}

static enum hrtimer_restart augur_queue_unwatched(struct hrtimer *timer)
{
	struct augur_queue *queue = container_of(timer, struct augur_queue, watch);
	bool pending = false;
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	if (!list_empty(&queue->in_flight)) {
		queue->rhythm = false;
		pending = augur_queue_rearm(queue);
	}
	spin_unlock_irqrestore(&queue->lock, flags);
	if (pending)
		augur_queue_collect(queue);
	return HRTIMER_NORESTART;
}

/**
 * augur_queue_look - look for the end of a list, for a while
 * @queue: The submit queue.
 * @fence: The list's fence.
 * @once: The program asks again and again, and does not want to wait.
 */
void augur_queue_look(struct augur_queue *queue, struct augur_fence *fence, bool once)
{
	u64 until = augur_look_until(fence->moved_bytes);
	bool pending, signaled;
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	queue->lookers++;
	if (!augur_rings_are_away(queue->adev))
		virtqueue_disable_cb(queue->vq);
	spin_unlock_irqrestore(&queue->lock, flags);

	do {
		/* A worker would cost a switch of tasks. */
		if (augur_queue_take(queue))
			augur_queue_reap_done(queue);
		signaled = dma_fence_is_signaled(&fence->base);
	} while (!signaled && !once && augur_look_again(until));

	spin_lock_irqsave(&queue->lock, flags);
	queue->lookers--;
	if (signaled || !once)
		queue->rhythm = signaled;
	if (!list_empty(&queue->in_flight))
		augur_queue_watch(queue);
	pending = augur_queue_rearm(queue);
	spin_unlock_irqrestore(&queue->lock, flags);
	if (pending)
		augur_queue_collect(queue);
}

/**
 * augur_queues_feed - put lists into the rings that wait for it
 * @adev: The card.
 */
void augur_queues_feed(struct augur_device *adev)
{
	for (u32 i = 0; i < adev->config.submit_queues; i++) {
		spin_lock_irq(&adev->queues[i].lock);
		augur_queue_feed(&adev->queues[i]);
		spin_unlock_irq(&adev->queues[i].lock);
	}
}

/**
 * augur_queues_init - prepare the submit queues
 * @adev: The card, whose rings do not exist yet.
 */
int augur_queues_init(struct augur_device *adev)
{
	u32 count = adev->config.submit_queues;

	adev->submit_workqueue = alloc_workqueue("augur-submit",
						 WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	adev->queues = kcalloc(count, sizeof(*adev->queues), GFP_KERNEL);
	if (!adev->submit_workqueue || !adev->queues) {
		augur_queues_fini(adev);
		return -ENOMEM;
	}
	for (u32 i = 0; i < count; i++) {
		struct augur_queue *queue = &adev->queues[i];

		queue->adev = adev;
		spin_lock_init(&queue->lock);
#ifdef AUGUR_HAS_HRTIMER_SETUP
		hrtimer_setup(&queue->watch, augur_queue_unwatched, CLOCK_MONOTONIC,
			      HRTIMER_MODE_REL);
#else
		hrtimer_init(&queue->watch, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
		queue->watch.function = augur_queue_unwatched;
#endif
		INIT_LIST_HEAD(&queue->in_flight);
		INIT_LIST_HEAD(&queue->stuck);
		INIT_LIST_HEAD(&queue->waiting);
		init_llist_head(&queue->done);
		INIT_WORK(&queue->reap, augur_queue_reap_work);
		INIT_DELAYED_WORK(&queue->feed, augur_queue_feed_work);
	}
	return 0;
}

/**
 * augur_queues_fini - free what augur_queues_init() made
 * @adev: The card, its rings gone.
 */
void augur_queues_fini(struct augur_device *adev)
{
	if (adev->submit_workqueue)
		destroy_workqueue(adev->submit_workqueue);
	kfree(adev->queues);
}

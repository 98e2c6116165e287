// SPDX-License-Identifier: GPL-2.0
/*
 * How lists leave the submit queues other than by their end: given up, cancelled, taken
 * back.
 */
#include "augur_context.h"
#include "augur_control.h"
#include "augur_device.h"
#include "augur_list.h"
#include "augur_queue.h"

/* Keeps a list in the ring that the caller strands, who gets a reference. */
static void augur_queue_abandon_locked(struct augur_queue *queue, struct augur_list *list)
{
	list->abandoned = true;
	list_move_tail(&list->link, &queue->stuck);
	kref_get(&list->ref);
}

/**
 * augur_queue_abandon - end a list that the card does not give back
 * @queue: The submit queue.
 * @list: The list, referenced.
 *
 * Return: false when it has come back.
 */
bool augur_queue_abandon(struct augur_queue *queue, struct augur_list *list)
{
	struct augur_list *known;
	bool there = false;

	spin_lock_irq(&queue->lock);
	list_for_each_entry(known, &queue->in_flight, link)
		there |= known == list;
	if (there)
		augur_queue_abandon_locked(queue, list);
	spin_unlock_irq(&queue->lock);
	if (!there)
		return false;
	augur_list_strand(list, -EIO);
	augur_list_put(list);
	return true;
}

/**
 * augur_queues_settle - wait for whoever is about to use a ring
 * @adev: A card whose rings are about to be taken away.
 */
void augur_queues_settle(struct augur_device *adev)
{
	for (u32 i = 0; i < adev->config.submit_queues; i++) {
		spin_lock_irq(&adev->queues[i].lock);
		spin_unlock_irq(&adev->queues[i].lock);
	}
}

/**
 * augur_queues_are_idle - whether no list is in a ring
 * @adev: The card.
 */
bool augur_queues_are_idle(struct augur_device *adev)
{
	bool idle = true;

	for (u32 i = 0; i < adev->config.submit_queues; i++) {
		struct augur_queue *queue = &adev->queues[i];

		/* Nobody may wait for what has come back, with interrupts off. */
		augur_queue_collect(queue);
		spin_lock_irq(&queue->lock);
		idle &= list_empty(&queue->in_flight);
		spin_unlock_irq(&queue->lock);
	}
	return idle;
}

/* Marks a list in the ring as hung that is not yet. Return: whether there was one. */
static bool augur_queue_condemn(struct augur_queue *queue, u32 *context, u32 *number)
{
	struct augur_list *list;
	bool found = false;

	spin_lock_irq(&queue->lock);
	list_for_each_entry(list, &queue->in_flight, link) {
		if (list->hung)
			continue;
		list->hung = true;
		*context = list->context->id;
		*number = lower_32_bits(list->number);
		found = true;
		break;
	}
	spin_unlock_irq(&queue->lock);
	return found;
}

/**
 * augur_queues_cancel - have the card end the lists that are in the rings
 * @adev: The card.
 */
void augur_queues_cancel(struct augur_device *adev)
{
	u32 context, number;

	for (u32 i = 0; i < adev->config.submit_queues; i++)
		while (augur_queue_condemn(&adev->queues[i], &context, &number))
			augur_card_cancel_list(adev, context, number);
}

/**
 * augur_queues_fail - signal the lists that are in the rings
 * @adev: A lost card.
 */
void augur_queues_fail(struct augur_device *adev)
{
	augur_queues_give_up(adev, -ENODEV);
}

/**
 * augur_queues_give_up - signal the lists that are in the rings
 * @adev: The card, which is lost or reset.
 * @error: Their fences' error.
 */
void augur_queues_give_up(struct augur_device *adev, int error)
{
	for (u32 i = 0; i < adev->config.submit_queues; i++) {
		struct augur_queue *queue = &adev->queues[i];
		struct augur_list *list;

		spin_lock_irq(&queue->lock);
		while ((list = list_first_entry_or_null(&queue->in_flight,
							struct augur_list, link))) {
			augur_queue_abandon_locked(queue, list);
			spin_unlock_irq(&queue->lock);
			augur_list_strand(list, error);
			augur_list_put(list);
			spin_lock_irq(&queue->lock);
		}
		spin_unlock_irq(&queue->lock);
	}
}

/**
 * augur_queues_drain - take back what is in the rings
 * @adev: A card that was reset.
 */
void augur_queues_drain(struct augur_device *adev)
{
	for (u32 i = 0; i < adev->config.submit_queues; i++) {
		struct augur_queue *queue = &adev->queues[i];
		struct augur_list *list;

		hrtimer_cancel(&queue->watch);
		while ((list = virtqueue_detach_unused_buf(queue->vq))) {
			list_del_init(&list->link);
			augur_queue_reap(queue, list);
		}
		cancel_delayed_work_sync(&queue->feed);
		flush_work(&queue->reap);
	}
}

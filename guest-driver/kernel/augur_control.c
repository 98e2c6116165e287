// SPDX-License-Identifier: GPL-2.0
/*
 * The control queue: puts requests into the ring and waits for their answers.
 *
 * The card answers every request without waiting for the guest, so an answer that
 * does not come within control_timeout_ms means that the card is lost. What a
 * request is stands in augur_request.c, what the requests say in augur_requests.c.
 */
#include <linux/moduleparam.h>

#include "augur_control.h"
#include "augur_device.h"
#include "augur_look.h"

static unsigned int control_timeout_ms = 10000;
module_param(control_timeout_ms, uint, 0644);
MODULE_PARM_DESC(control_timeout_ms,
		 "Milliseconds for an answer of the card before it counts as lost");

/*
 * Descriptors that only acknowledgments may take, so that requests for windows
 * never keep windows from being given back. Each takes two when there is no
 * memory for an indirect table.
 */
#define AUGUR_ACK_DESCRIPTORS	(2 * AUGUR_ACK_REQUESTS)

/* Whether a request has to wait until a pause has ended. */
static bool augur_control_is_paused(const struct augur_device *adev,
				    const struct augur_request *request)
{
	enum augur_pause pause = READ_ONCE(adev->pause);

	return pause == AUGUR_PAUSE_ALL || (pause == AUGUR_PAUSE_ADDS && !request->first);
}

/* Puts a request into the ring when @reserve descriptors stay free behind it. */
static int augur_control_add(struct augur_device *adev, struct augur_request *request,
			     u32 reserve)
{
	struct augur_control *control = &adev->control;
	struct scatterlist out, in, *sgs[] = { &out, &in };
	unsigned long flags;
	bool notify = false;
	int ret;

	sg_init_one(&out, request->request, request->request_bytes);
	sg_init_one(&in, request->answer, request->answer_bytes);

	spin_lock_irqsave(&control->lock, flags);
	if (augur_device_is_lost(adev))
		ret = -EIO;
	else if (augur_control_is_paused(adev, request) ||
		 control->vq->num_free < reserve + ARRAY_SIZE(sgs))
		ret = -ENOSPC;
	else
		ret = virtqueue_add_sgs(control->vq, sgs, 1, 1, request, GFP_ATOMIC);
	if (!ret) {
		kref_get(&request->ref);
		list_add_tail(&request->link, &control->in_flight);
		notify = virtqueue_kick_prepare(control->vq);
	}
	spin_unlock_irqrestore(&control->lock, flags);

	if (notify)
		virtqueue_notify(control->vq);
	return ret;
}

static unsigned long augur_control_timeout(void)
{
	return msecs_to_jiffies(control_timeout_ms);
}

/*
 * Interrupts are on while somebody sleeps until one: an answer that nobody waits for
 * is taken by whoever looks next.
 */
static void augur_control_sleep_begin(struct augur_device *adev)
{
	struct augur_control *control = &adev->control;
	bool pending = false;
	unsigned long flags;

	spin_lock_irqsave(&control->lock, flags);
	control->sleepers++;
	if (!augur_rings_are_away(adev))
		pending = !virtqueue_enable_cb(control->vq);
	spin_unlock_irqrestore(&control->lock, flags);
	if (pending)
		augur_control_look(adev);
}

static void augur_control_sleep_end(struct augur_device *adev)
{
	struct augur_control *control = &adev->control;
	unsigned long flags;

	spin_lock_irqsave(&control->lock, flags);
	if (!--control->sleepers && !augur_rings_are_away(adev))
		virtqueue_disable_cb(control->vq);
	spin_unlock_irqrestore(&control->lock, flags);
}

/* Sleeps until a request is answered. Return: whether it was, in time. */
static bool augur_control_sleep(struct augur_device *adev, struct augur_request *request)
{
	unsigned long left;

	/* What was answered before needs no interrupt. */
	augur_control_look(adev);
	if (try_wait_for_completion(&request->done))
		return true;
	augur_control_sleep_begin(adev);
	left = wait_for_completion_timeout(&request->done, augur_control_timeout());
	augur_control_sleep_end(adev);
	if (left)
		return true;
	/* It may be there all the same: the guest may have stood still meanwhile. */
	augur_control_look(adev);
	return try_wait_for_completion(&request->done);
}

/* Puts a request into the ring, where answers that nobody waited for make room. */
static int augur_control_try(struct augur_device *adev, struct augur_request *request,
			     u32 reserve)
{
	augur_control_look(adev);
	return augur_control_add(adev, request, reserve);
}

static int augur_control_post(struct augur_device *adev, struct augur_request *request,
			      u32 reserve)
{
	int ret = augur_control_try(adev, request, reserve);

	if (ret != -ENOSPC)
		return ret;
	augur_control_sleep_begin(adev);
	wait_event_timeout(adev->control.space,
			   (ret = augur_control_try(adev, request, reserve)) != -ENOSPC,
			   augur_control_timeout());
	augur_control_sleep_end(adev);
	if (ret == -ENOSPC) {
		augur_device_lose(adev, "the control queue does not move");
		return -EIO;
	}
	return ret;
}

/**
 * augur_request_call - send a request and wait for its answer
 * @adev: The card.
 * @request: The request.
 *
 * The wait cannot be interrupted: it ends with the answer, or with the card's
 * loss after control_timeout_ms.
 *
 * Return: 0 or what the card's status means.
 */
int augur_request_call(struct augur_device *adev, struct augur_request *request)
{
	u64 until;
	int ret;

	ret = augur_control_post(adev, request, AUGUR_ACK_DESCRIPTORS);
	if (ret)
		return ret;
	until = augur_look_until(0);
	do {
		augur_control_look(adev);
	} while (!completion_done(&request->done) && augur_look_again(until));
	if (!augur_control_sleep(adev, request)) {
		augur_device_lose(adev, "a request was not answered");
		return -EIO;
	}
	return augur_request_result(adev, request);
}

/**
 * augur_request_send - send a request whose answer is of little interest
 * @adev: The card.
 * @request: The request; its effect needs no undoing.
 */
int augur_request_send(struct augur_device *adev, struct augur_request *request)
{
	return augur_control_post(adev, request, AUGUR_ACK_DESCRIPTORS);
}

/**
 * augur_card_acknowledge - give windows back
 * @adev: The card.
 * @entries: The windows.
 * @count: Entries, 1 to AUGUR_MAX_ACKS.
 *
 * Called by the event worker only. It needs no memory and does not wait for the
 * answer, only for the use of the same request the last time round.
 *
 * Return: 0, or -EIO when the card is lost.
 */
int augur_card_acknowledge(struct augur_device *adev,
			   const struct augur_revoke_ack *entries, u32 count)
{
	struct augur_control *control = &adev->control;
	struct augur_request *request = control->acks[control->next_ack];
	struct augur_revoke_ack_request *body = augur_request_body(request);

	if (!augur_control_sleep(adev, request)) {
		augur_device_lose(adev, "an acknowledgment was not answered");
		return -EIO;
	}
	reinit_completion(&request->done);
	control->next_ack = (control->next_ack + 1) % AUGUR_ACK_REQUESTS;

	body->count = cpu_to_le32(count);
	memcpy(body + 1, entries, count * sizeof(*entries));
	request->request_bytes = sizeof(struct augur_request_header) + sizeof(*body) +
				 count * sizeof(*entries);
	return augur_control_post(adev, request, 0);
}

/**
 * augur_control_look - take the answers that are there
 * @adev: The card. Any context.
 */
void augur_control_look(struct augur_device *adev)
{
	struct augur_control *control = &adev->control;
	struct augur_request *request;
	bool space = false;
	unsigned long flags;
	u32 used;

	spin_lock_irqsave(&control->lock, flags);
	while (!augur_rings_are_away(adev) &&
	       (request = virtqueue_get_buf(control->vq, &used))) {
		list_del_init(&request->link);
		request->used = min(used, request->answer_bytes);
		complete(&request->done);
		augur_request_put(request);
		space = true;
	}
	spin_unlock_irqrestore(&control->lock, flags);
	if (space)
		wake_up_all(&control->space);
}

/**
 * augur_control_done - the card has used descriptors of the control queue
 * @vq: The queue.
 */
void augur_control_done(struct virtqueue *vq)
{
	augur_control_look(vq->vdev->priv);
}

/**
 * augur_control_begin - do without interrupts until somebody sleeps
 * @adev: A card whose rings were just made.
 */
void augur_control_begin(struct augur_device *adev)
{
	struct augur_control *control = &adev->control;

	spin_lock_irq(&control->lock);
	if (!control->sleepers)
		virtqueue_disable_cb(control->vq);
	spin_unlock_irq(&control->lock);
}

/**
 * augur_control_settle - wait for whoever is about to use the ring
 * @adev: A card whose rings are about to be taken away.
 */
void augur_control_settle(struct augur_device *adev)
{
	spin_lock_irq(&adev->control.lock);
	spin_unlock_irq(&adev->control.lock);
}

/**
 * augur_control_is_idle - whether no request is in the ring
 * @adev: The card. Its requests are taken even if nothing else takes from the ring.
 */
bool augur_control_is_idle(struct augur_device *adev)
{
	bool idle;

	augur_control_look(adev);
	spin_lock_irq(&adev->control.lock);
	idle = list_empty(&adev->control.in_flight);
	spin_unlock_irq(&adev->control.lock);
	return idle;
}

/**
 * augur_control_wake - have those try again who found no room
 * @adev: The card.
 */
void augur_control_wake(struct augur_device *adev)
{
	wake_up_all(&adev->control.space);
}

/**
 * augur_control_fail - end every wait for an answer
 * @adev: A lost card. The requests stay in the ring.
 */
void augur_control_fail(struct augur_device *adev)
{
	struct augur_control *control = &adev->control;
	struct augur_request *request;

	spin_lock_irq(&control->lock);
	list_for_each_entry(request, &control->in_flight, link) {
		request->error = -EIO;
		complete_all(&request->done);
	}
	spin_unlock_irq(&control->lock);
	wake_up_all(&control->space);
}

/**
 * augur_control_drain - take back what is in the ring
 * @adev: A card that was reset.
 */
void augur_control_drain(struct augur_device *adev)
{
	struct augur_request *request;

	while ((request = virtqueue_detach_unused_buf(adev->control.vq))) {
		list_del_init(&request->link);
		augur_request_put(request);
	}
}

/**
 * augur_control_init - prepare the control queue
 * @adev: The card, whose rings do not exist yet.
 */
int augur_control_init(struct augur_device *adev)
{
	struct augur_control *control = &adev->control;
	size_t bytes = sizeof(struct augur_revoke_ack_request) +
		       AUGUR_MAX_ACKS * sizeof(struct augur_revoke_ack);

	spin_lock_init(&control->lock);
	INIT_LIST_HEAD(&control->in_flight);
	init_waitqueue_head(&control->space);
	for (int i = 0; i < AUGUR_ACK_REQUESTS; i++) {
		control->acks[i] = augur_request_new(AUGUR_REQUEST_REVOKE_ACK, 0,
						     bytes, 0);
		if (!control->acks[i]) {
			augur_control_fini(adev);
			return -ENOMEM;
		}
		complete(&control->acks[i]->done);
	}
	return 0;
}

/**
 * augur_control_fini - free what augur_control_init() made
 * @adev: The card.
 */
void augur_control_fini(struct augur_device *adev)
{
	for (int i = 0; i < AUGUR_ACK_REQUESTS; i++) {
		augur_request_put(adev->control.acks[i]);
		adev->control.acks[i] = NULL;
	}
}

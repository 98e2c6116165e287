// SPDX-License-Identifier: GPL-2.0
/*
 * The smallest driver of an Augur card that does real work, written from the
 * datasheet (docs/datasheet.md) for people who write their own: it finds the card,
 * maps the aperture, has an engine execute one command, and sees its result in a
 * window. docs/developing-a-driver.md walks through it.
 *
 * Each card gets a file "fill" in sysfs: a number written there fills a page of device
 * memory with that byte, by an engine; reading says which byte the aperture shows
 * there. One context, one object, one window, one request at a time.
 */
#include <linux/completion.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/random.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/workqueue.h>

#include <augur_card_abi.h>

/* Queues that are used: control, events, and the first of the submit queues. */
#define MINIMAL_QUEUES		3
/* Buffers for events: more than one object's windows ever need at a time. */
#define MINIMAL_EVENTS		16
/* An answer takes microseconds; a card that takes this long is given up. */
#define MINIMAL_TIMEOUT		msecs_to_jiffies(10000)
/* After this long without a window the card is asked again (datasheet, Windows). */
#define MINIMAL_ASK_AGAIN	msecs_to_jiffies(100)

struct minimal_card {
	struct virtio_device *vdev;
	struct virtqueue *vqs[MINIMAL_QUEUES];
	void *aperture;		/* what the card shows of its memory */
	u64 aperture_bytes;
	u32 context;
	u64 device_address;	/* of the one object, a page */

	struct mutex call_lock;	/* one chain at a time, in these buffers */
	bool dead;
	struct completion answered;
	u32 answer_bytes;
	u8 request[512];
	u8 answer[128];

	/* Held while the window is read, never across a request. */
	struct mutex window_lock;
	bool window_live;
	struct augur_event window;
	wait_queue_head_t window_changed;
	struct work_struct events_work;
	struct augur_event events[MINIMAL_EVENTS];
};

/* The card has used a chain of the control queue or of the submit queue. */
static void minimal_answered(struct virtqueue *vq)
{
	struct minimal_card *card = vq->vdev->priv;

	while (virtqueue_get_buf(vq, &card->answer_bytes))
		complete(&card->answered);
}

/*
 * Puts card->request into a queue and waits for card->answer: a chain of a readable
 * and a writable descriptor. Both are the card's until it has used the chain.
 */
static int minimal_call(struct minimal_card *card, u32 queue, u32 request_bytes,
			u32 answer_bytes)
{
	struct scatterlist out, in, *sgs[] = { &out, &in };
	const __le32 *status = (void *)card->answer;
	int ret;

	if (card->dead)
		return -EIO;
	sg_init_one(&out, card->request, request_bytes);
	sg_init_one(&in, card->answer, answer_bytes);
	reinit_completion(&card->answered);
	ret = virtqueue_add_sgs(card->vqs[queue], sgs, 1, 1, card, GFP_KERNEL);
	if (ret)
		return ret;
	virtqueue_kick(card->vqs[queue]);
	if (!wait_for_completion_timeout(&card->answered, MINIMAL_TIMEOUT)) {
		/* It may write to the answer until it is reset. */
		dev_err(&card->vdev->dev, "the card does not answer\n");
		card->dead = true;
		return -EIO;
	}
	/* Every answer begins with a status, and ends there after an error. */
	if (card->answer_bytes < answer_bytes || *status != cpu_to_le32(AUGUR_STATUS_OK))
		return -EIO;
	return 0;
}

/* Asks the control queue something: a body behind the header, and so the answer. */
static int minimal_request(struct minimal_card *card, u16 opcode, const void *body,
			   u32 body_bytes, void *answer, u32 answer_bytes)
{
	struct augur_response_header *status = (void *)card->answer;
	struct augur_request_header *header = (void *)card->request;
	int ret;

	guard(mutex)(&card->call_lock);
	*header = (struct augur_request_header) {
		.opcode = cpu_to_le16(opcode),
		.context = cpu_to_le32(card->context),
	};
	memcpy(header + 1, body, body_bytes);
	ret = minimal_call(card, AUGUR_QUEUE_CONTROL, sizeof(*header) + body_bytes,
			   sizeof(*status) + answer_bytes);
	if (!ret && answer)
		memcpy(answer, status + 1, answer_bytes);
	return ret;
}

/* MAP: the event says what of device memory the aperture shows, and where. */
static void minimal_install(struct minimal_card *card, const struct augur_event *event)
{
	u64 offset = le64_to_cpu(event->aperture_offset);
	u32 bytes = le32_to_cpu(event->bytes);

	/* The card is not trusted with where the kernel reads. */
	if (bytes < AUGUR_PAGE_BYTES || offset > card->aperture_bytes ||
	    bytes > card->aperture_bytes - offset)
		return;
	scoped_guard(mutex, &card->window_lock) {
		card->window = *event;
		card->window_live = true;
	}
	wake_up_all(&card->window_changed);
}

/* REVOKE: gives a window back. It was only read, so the card needs no copy of it. */
static void minimal_revoke(struct minimal_card *card, const struct augur_event *event)
{
	const struct {
		struct augur_revoke_ack_request head;
		struct augur_revoke_ack ack;
	} body = {
		.head.count = cpu_to_le32(1),
		.ack.slot = event->slot,
		.ack.generation = event->generation,
	};

	/* Whoever reads holds the lock: after this nobody does. */
	scoped_guard(mutex, &card->window_lock)
		if (card->window.slot == event->slot &&
		    card->window.generation == event->generation)
			card->window_live = false;
	/* If it fails the card is dead, and so is the window. */
	minimal_request(card, AUGUR_REQUEST_REVOKE_ACK, &body, sizeof(body), NULL, 0);
}

/* Lends the card a buffer for one event. */
static int minimal_post(struct minimal_card *card, struct augur_event *buffer)
{
	struct scatterlist in;

	sg_init_one(&in, buffer, sizeof(*buffer));
	return virtqueue_add_inbuf(card->vqs[AUGUR_QUEUE_EVENTS], &in, 1, buffer, GFP_KERNEL);
}

/*
 * Takes events in their order. Others than these two say that something failed: who
 * waits for a window then asks until a signal ends that. A driver with more windows than
 * buffers must list them anew after RESYNC (datasheet, Events).
 */
static void minimal_events_work(struct work_struct *work)
{
	struct minimal_card *card = container_of(work, struct minimal_card, events_work);
	struct virtqueue *vq = card->vqs[AUGUR_QUEUE_EVENTS];
	struct augur_event *buffer, event;
	u32 bytes;

	do {
		virtqueue_disable_cb(vq);
		while ((buffer = virtqueue_get_buf(vq, &bytes))) {
			event = *buffer;
			minimal_post(card, buffer);
			virtqueue_kick(vq);
			if (bytes != sizeof(event))
				continue;
			if (event.kind == cpu_to_le16(AUGUR_EVENT_MAP))
				minimal_install(card, &event);
			else if (event.kind == cpu_to_le16(AUGUR_EVENT_REVOKE))
				minimal_revoke(card, &event);
		}
	} while (!virtqueue_enable_cb(vq));
}

static void minimal_events_arrived(struct virtqueue *vq)
{
	struct minimal_card *card = vq->vdev->priv;

	schedule_work(&card->events_work);
}

/* Has an engine fill the object with a byte, and waits until it has. */
static int minimal_fill(struct minimal_card *card, u8 value)
{
	struct {
		struct augur_submit_header head;
		struct augur_command_header command;
		struct augur_fill_params fill;
		struct augur_operand destination;
	} *list = (void *)card->request;
	const u32 list_bytes = sizeof(*list) - sizeof(list->head);

	BUILD_BUG_ON(sizeof(*list) > sizeof(card->request));
	guard(mutex)(&card->call_lock);
	*list = (typeof(*list)) {
		.head.context = cpu_to_le32(card->context),
		.head.list_bytes = cpu_to_le32(list_bytes),
		.head.command_count = cpu_to_le32(1),
		.command.opcode = cpu_to_le16(AUGUR_OP_FILL),
		.command.operand_count = cpu_to_le16(1),
		.command.bytes = cpu_to_le32(list_bytes),
		.fill.value = cpu_to_le64(value),
		.destination.address = cpu_to_le64(card->device_address),
		.destination.data_type = AUGUR_TYPE_U8,
		.destination.rank = 1,
		.destination.shape[0] = cpu_to_le32(AUGUR_PAGE_BYTES),
		.destination.stride[0] = cpu_to_le64(1),
	};
	return minimal_call(card, AUGUR_QUEUE_SUBMIT, sizeof(*list),
			    sizeof(struct augur_submit_status));
}

/* Return: the byte that fills the object, or an error; -EAGAIN when no window shows it. */
static int minimal_look(struct minimal_card *card)
{
	const struct augur_event *window = &card->window;
	const u8 *page;
	u64 offset;

	guard(mutex)(&card->window_lock);
	offset = card->device_address - le64_to_cpu(window->device_address);
	if (!card->window_live || offset > le32_to_cpu(window->bytes) - AUGUR_PAGE_BYTES)
		return -EAGAIN;
	page = card->aperture + le64_to_cpu(window->aperture_offset) + offset;
	return memchr_inv(page, page[0], AUGUR_PAGE_BYTES) ? -EIO : page[0];
}

static ssize_t fill_show(struct device *dev, struct device_attribute *attribute, char *text)
{
	struct minimal_card *card = dev_to_virtio(dev)->priv;
	const struct augur_fault_request fault = {
		.device_address = cpu_to_le64(card->device_address),
	};
	struct augur_fault_response answer;
	int byte, ret;

	while ((byte = minimal_look(card)) == -EAGAIN) {
		ret = minimal_request(card, AUGUR_REQUEST_FAULT, &fault, sizeof(fault), &answer,
				      sizeof(answer));
		if (ret)
			return ret;
		ret = wait_event_interruptible_timeout(card->window_changed,
						       READ_ONCE(card->window_live),
						       MINIMAL_ASK_AGAIN);
		if (ret < 0)
			return ret;
	}
	return byte < 0 ? byte : sysfs_emit(text, "%#04x\n", byte);
}

static ssize_t fill_store(struct device *dev, struct device_attribute *attribute,
			  const char *text, size_t bytes)
{
	u8 value;
	int ret = kstrtou8(text, 0, &value);

	if (!ret)
		ret = minimal_fill(dev_to_virtio(dev)->priv, value);
	return ret ? ret : bytes;
}
static DEVICE_ATTR_RW(fill);

static struct attribute *minimal_attrs[] = { &dev_attr_fill.attr, NULL };
ATTRIBUTE_GROUPS(minimal);

/* Checks that this is a card, and maps its aperture. */
static int minimal_map(struct minimal_card *card)
{
	struct device *dev = &card->vdev->dev;
	struct virtio_shm_region region;
	struct augur_config config;

	/* The only read of the config space: later ones can end the virtual machine. */
	virtio_cread_bytes(card->vdev, 0, &config, sizeof(config));
	card->aperture_bytes = le64_to_cpu(config.aperture_bytes);
	if (le64_to_cpu(config.magic) != AUGUR_CONFIG_MAGIC ||
	    le16_to_cpu(config.abi_major) != AUGUR_ABI_MAJOR ||
	    !virtio_get_shm_region(card->vdev, &region, 0) ||
	    region.len < card->aperture_bytes)
		return -ENODEV;
	if (!devm_request_mem_region(dev, region.addr, region.len, "augur-minimal"))
		return -EBUSY;
	/* The card's process maps the same pages write-back. */
	card->aperture = devm_memremap(dev, region.addr, card->aperture_bytes, MEMREMAP_WB);
	return PTR_ERR_OR_ZERO(card->aperture);
}

/* Begins a driver life, opens a context, allocates the object. */
static int minimal_greet(struct minimal_card *card)
{
	const struct augur_map_header *header = card->aperture;
	const struct augur_hello_request hello = {
		.nonce = cpu_to_le64(get_random_u64() | 1),
		.abi_major = cpu_to_le16(AUGUR_ABI_MAJOR),
		.abi_minor = cpu_to_le16(AUGUR_ABI_MINOR),
	};
	const struct augur_context_create_request context = {
		.priority = cpu_to_le32(1),
		.name = "minimal",
	};
	const struct augur_object_create_request object = {
		.bytes = cpu_to_le64(AUGUR_PAGE_BYTES),
	};
	struct augur_hello_response greeted;
	struct augur_context_create_response opened;
	struct augur_object_create_response created;
	int ret;

	ret = minimal_request(card, AUGUR_REQUEST_HELLO, &hello, sizeof(hello), &greeted,
			      sizeof(greeted));
	if (ret)
		return ret;
	/* Now the aperture shows the map header. */
	if (le64_to_cpu(header->magic) != AUGUR_MAP_HEADER_MAGIC || header->life != hello.nonce)
		return -EIO;
	ret = minimal_request(card, AUGUR_REQUEST_CONTEXT_CREATE, &context, sizeof(context),
			      &opened, sizeof(opened));
	if (ret)
		return ret;
	card->context = le32_to_cpu(opened.context);
	ret = minimal_request(card, AUGUR_REQUEST_OBJECT_CREATE, &object, sizeof(object),
			      &created, sizeof(created));
	if (!ret)
		card->device_address = le64_to_cpu(created.device_address);
	return ret;
}

/* Ends everything that the card may still do. */
static void minimal_remove(struct virtio_device *vdev)
{
	struct minimal_card *card = vdev->priv;

	scoped_guard(mutex, &card->call_lock)
		card->dead = true;
	virtio_reset_device(vdev);
	cancel_work_sync(&card->events_work);
	vdev->config->del_vqs(vdev);
}

static int minimal_probe(struct virtio_device *vdev)
{
	struct virtqueue_info queues[MINIMAL_QUEUES] = {
		[AUGUR_QUEUE_CONTROL] = { "control", minimal_answered },
		[AUGUR_QUEUE_EVENTS] = { "events", minimal_events_arrived },
		[AUGUR_QUEUE_SUBMIT] = { "submit", minimal_answered },
	};
	struct minimal_card *card;
	int ret;

	card = devm_kzalloc(&vdev->dev, sizeof(*card), GFP_KERNEL);
	if (!card)
		return -ENOMEM;
	card->vdev = vdev;
	vdev->priv = card;
	mutex_init(&card->call_lock);
	mutex_init(&card->window_lock);
	init_completion(&card->answered);
	init_waitqueue_head(&card->window_changed);
	INIT_WORK(&card->events_work, minimal_events_work);

	ret = minimal_map(card);
	if (!ret)
		ret = virtio_find_vqs(vdev, MINIMAL_QUEUES, card->vqs, queues, NULL);
	if (ret)
		return ret;

	for (u32 i = 0; !ret && i < MINIMAL_EVENTS; i++)
		ret = minimal_post(card, &card->events[i]);
	virtio_device_ready(vdev);
	virtqueue_kick(card->vqs[AUGUR_QUEUE_EVENTS]);
	if (!ret)
		ret = minimal_greet(card);
	if (ret)
		minimal_remove(vdev);
	return ret;
}

static const struct virtio_device_id minimal_ids[] = {
	{ AUGUR_VIRTIO_ID, VIRTIO_DEV_ANY_ID },
	{ }
};
MODULE_DEVICE_TABLE(virtio, minimal_ids);

/* The core removes the groups, and waits for who uses them, before it calls remove. */
static struct virtio_driver minimal_driver = {
	.driver.name = "augur_minimal",
	.driver.dev_groups = minimal_groups,
	.id_table = minimal_ids,
	.probe = minimal_probe,
	.remove = minimal_remove,
};
module_virtio_driver(minimal_driver);

MODULE_DESCRIPTION("Example of a small driver for the Augur card");
MODULE_AUTHOR("The Augur authors");
MODULE_LICENSE("GPL");

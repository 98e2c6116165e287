// SPDX-License-Identifier: GPL-2.0
/*
 * The smallest driver of an Augur card that does real work, written from the
 * datasheet (docs/datasheet.md) for people who write their own: it finds the card,
 * maps the aperture, has an engine execute one command, and sees its result in a
 * window. docs/developing-a-driver.md walks through it.
 *
 * Each card becomes /dev/augur-minimalN. A byte written there fills a page of device
 * memory with it, by an engine; reading returns the page, from the aperture. No DRM,
 * no memory of programs, one context, one object, one window, one request at a time.
 */
#include <linux/completion.h>
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/io.h>
#include <linux/kref.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <augur_card_abi.h>

/* Queues that are used: control, events, and the first of the submit queues. */
#define MINIMAL_QUEUES		3
/* Buffers for events: more than one object's windows ever need at a time. */
#define MINIMAL_EVENTS		16
/* Bytes of the one object. */
#define MINIMAL_BYTES		AUGUR_PAGE_BYTES
/* An answer takes microseconds; a card that takes this long is given up. */
#define MINIMAL_TIMEOUT		msecs_to_jiffies(10000)
/* After this long without a window the card is asked again (datasheet, Windows). */
#define MINIMAL_ASK_AGAIN	msecs_to_jiffies(100)

/* Numbers of the cards, for the names of their files. */
static DEFINE_IDA(minimal_numbers);

/*
 * Locks: window_lock is never held across a request, so that windows can be given
 * back while somebody waits for an answer.
 */
struct minimal_card {
	struct kref ref;
	struct virtio_device *vdev;
	struct miscdevice misc;
	int number;
	char name[24];
	struct virtqueue *vqs[MINIMAL_QUEUES];

	/* The aperture: what the card shows of its memory. */
	void *aperture;
	u64 aperture_bytes;
	u32 context;
	u64 device_address;

	/* One chain at a time, in these buffers, from here to answer_done. */
	struct mutex call_lock;
	bool dead;
	struct completion answer_done;
	u32 answer_bytes;
	u8 request[512];
	u8 answer[128];

	/* For window: held while it is read, so that it is not given back then. */
	struct mutex window_lock;
	bool window_live;
	struct augur_event window;
	wait_queue_head_t window_changed;
	struct work_struct events_work;
	struct augur_event events[MINIMAL_EVENTS];
};

/*
 * Chains: readable descriptors, then writable ones. The card copies the request and
 * writes the answer; nothing of either may be touched or freed in between.
 */

/* The card has used a chain of the control queue or of the submit queue. */
static void minimal_answered(struct virtqueue *vq)
{
	struct minimal_card *card = vq->vdev->priv;
	u32 bytes;

	while (virtqueue_get_buf(vq, &bytes)) {
		card->answer_bytes = bytes;
		complete(&card->answer_done);
	}
}

/* Puts card->request into a queue and waits for card->answer. */
static int minimal_call(struct minimal_card *card, u32 queue, u32 request_bytes,
			u32 answer_bytes)
{
	struct scatterlist out, in, *sgs[] = { &out, &in };
	int ret;

	lockdep_assert_held(&card->call_lock);
	if (card->dead)
		return -EIO;
	memset(card->answer, 0, sizeof(card->answer));
	sg_init_one(&out, card->request, request_bytes);
	sg_init_one(&in, card->answer, answer_bytes);
	reinit_completion(&card->answer_done);
	ret = virtqueue_add_sgs(card->vqs[queue], sgs, 1, 1, card, GFP_KERNEL);
	if (ret)
		return ret;
	virtqueue_kick(card->vqs[queue]);
	if (!wait_for_completion_timeout(&card->answer_done, MINIMAL_TIMEOUT)) {
		/* The card may write to the answer until it is reset. */
		dev_err(&card->vdev->dev, "the card does not answer\n");
		card->dead = true;
		return -EIO;
	}
	/* Every answer begins with a status. */
	return card->answer_bytes < sizeof(__le32) ? -EIO : 0;
}

/* What a status is for a program. */
static int minimal_error(__le32 status)
{
	switch (le32_to_cpu(status)) {
	case AUGUR_STATUS_OK:
		return 0;
	case AUGUR_STATUS_NO_MEMORY:
		return -ENOMEM;
	default:
		return -EIO;
	}
}

/* Asks the control queue something: a body behind the header, and so the answer. */
static int minimal_request(struct minimal_card *card, u16 opcode, const void *body,
			   u32 body_bytes, void *answer, u32 answer_bytes)
{
	struct augur_response_header *status = (void *)card->answer;
	struct augur_request_header *header = (void *)card->request;
	int ret;

	mutex_lock(&card->call_lock);
	*header = (struct augur_request_header) {
		.opcode = cpu_to_le16(opcode),
		.context = cpu_to_le32(card->context),
	};
	memcpy(header + 1, body, body_bytes);
	ret = minimal_call(card, AUGUR_QUEUE_CONTROL, sizeof(*header) + body_bytes,
			   sizeof(*status) + answer_bytes);
	/* An answer with an error has only a header. */
	if (!ret)
		ret = minimal_error(status->status);
	if (!ret && card->answer_bytes < sizeof(*status) + answer_bytes)
		ret = -EIO;
	if (!ret && answer_bytes)
		memcpy(answer, status + 1, answer_bytes);
	mutex_unlock(&card->call_lock);
	return ret;
}

/*
 * Windows: which part of device memory stands where in the aperture. The card says so
 * by events, in order, and takes a window back by REVOKE.
 */

/* The event says what of device memory the aperture shows, and where. */
static void minimal_install(struct minimal_card *card, const struct augur_event *event)
{
	u64 offset = le64_to_cpu(event->aperture_offset);

	/* The card is not trusted with where the kernel reads. */
	if (offset > card->aperture_bytes ||
	    le32_to_cpu(event->bytes) > card->aperture_bytes - offset)
		return;
	mutex_lock(&card->window_lock);
	card->window = *event;
	card->window_live = true;
	mutex_unlock(&card->window_lock);
	wake_up_all(&card->window_changed);
}

/* Gives a window back. It was only read, so the card needs no copy of it. */
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

	mutex_lock(&card->window_lock);
	/* Whoever reads holds the lock: from here on nobody does. */
	if (card->window.slot == event->slot && card->window.generation == event->generation)
		card->window_live = false;
	mutex_unlock(&card->window_lock);
	/* If it fails the card is dead, and so is the window. */
	minimal_request(card, AUGUR_REQUEST_REVOKE_ACK, &body, sizeof(body), NULL, 0);
}

static void minimal_event(struct minimal_card *card, const struct augur_event *event)
{
	switch (le16_to_cpu(event->kind)) {
	case AUGUR_EVENT_MAP:
		minimal_install(card, event);
		break;
	case AUGUR_EVENT_REVOKE:
		minimal_revoke(card, event);
		break;
	default:
		/*
		 * FAULT_FAILED, CONTEXT_FAILED: whoever waits runs into its limit. RESYNC
		 * says that events found no buffer, for which there are too many here; a
		 * driver with more windows lists them anew (datasheet, Events).
		 */
		dev_warn_ratelimited(&card->vdev->dev, "event %u, status %u\n",
				     le16_to_cpu(event->kind), le32_to_cpu(event->status));
	}
}

/* Lends the card a buffer for one event. */
static int minimal_post(struct minimal_card *card, struct augur_event *buffer)
{
	struct scatterlist in;

	sg_init_one(&in, buffer, sizeof(*buffer));
	return virtqueue_add_inbuf(card->vqs[AUGUR_QUEUE_EVENTS], &in, 1, buffer, GFP_KERNEL);
}

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
			if (bytes == sizeof(event))
				minimal_event(card, &event);
		}
	} while (!virtqueue_enable_cb(vq));
}

static void minimal_events_arrived(struct virtqueue *vq)
{
	struct minimal_card *card = vq->vdev->priv;

	schedule_work(&card->events_work);
}

/*
 * Work: a command for an engine, and its result through the aperture.
 */

/* Has an engine fill the object with a byte, and waits until it has. */
static int minimal_fill(struct minimal_card *card, u8 value)
{
	struct {
		struct augur_submit_header head;
		struct augur_command_header command;
		struct augur_fill_params fill;
		struct augur_operand destination;
	} *list = (void *)card->request;
	struct augur_submit_status *status = (void *)card->answer;
	int ret;

	BUILD_BUG_ON(sizeof(*list) > sizeof(card->request));
	mutex_lock(&card->call_lock);
	memset(list, 0, sizeof(*list));
	list->head.context = cpu_to_le32(card->context);
	list->head.list_bytes = cpu_to_le32(sizeof(*list) - sizeof(list->head));
	list->head.command_count = cpu_to_le32(1);
	list->command.opcode = cpu_to_le16(AUGUR_OP_FILL);
	list->command.operand_count = cpu_to_le16(1);
	list->command.bytes = list->head.list_bytes;
	list->fill.value = cpu_to_le64(value);
	list->destination.address = cpu_to_le64(card->device_address);
	list->destination.data_type = AUGUR_TYPE_U8;
	list->destination.rank = 1;
	list->destination.shape[0] = cpu_to_le32(MINIMAL_BYTES);
	list->destination.stride[0] = cpu_to_le64(1);
	ret = minimal_call(card, AUGUR_QUEUE_SUBMIT, sizeof(*list), sizeof(*status));
	if (!ret)
		ret = minimal_error(status->status);
	mutex_unlock(&card->call_lock);
	return ret;
}

/* Copies the object out of its window, if it has one. */
static bool minimal_copy(struct minimal_card *card, void *to)
{
	const struct augur_event *window = &card->window;
	u64 offset, bytes;
	bool there;

	mutex_lock(&card->window_lock);
	offset = card->device_address - le64_to_cpu(window->device_address);
	bytes = le32_to_cpu(window->bytes);
	there = card->window_live && offset < bytes && bytes - offset >= MINIMAL_BYTES;
	if (there)
		memcpy(to, card->aperture + le64_to_cpu(window->aperture_offset) + offset,
		       MINIMAL_BYTES);
	mutex_unlock(&card->window_lock);
	return there;
}

/* Asks for a window until there is one. */
static int minimal_read_object(struct minimal_card *card, void *to)
{
	const struct augur_fault_request fault = {
		.device_address = cpu_to_le64(card->device_address),
	};
	struct augur_fault_response answer;
	unsigned long end = jiffies + MINIMAL_TIMEOUT;
	long ret;

	while (!minimal_copy(card, to)) {
		if (time_after(jiffies, end))
			return -EIO;
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
	return 0;
}

/*
 * The file that programs open.
 */

static void minimal_release_card(struct kref *ref)
{
	struct minimal_card *card = container_of(ref, struct minimal_card, ref);

	ida_free(&minimal_numbers, card->number);
	kfree(card);
}

static int minimal_open(struct inode *inode, struct file *file)
{
	struct minimal_card *card = container_of(file->private_data, struct minimal_card, misc);

	kref_get(&card->ref);
	file->private_data = card;
	return 0;
}

static int minimal_close(struct inode *inode, struct file *file)
{
	struct minimal_card *card = file->private_data;

	kref_put(&card->ref, minimal_release_card);
	return 0;
}

static ssize_t minimal_write(struct file *file, const char __user *from, size_t bytes,
			     loff_t *at)
{
	struct minimal_card *card = file->private_data;
	u8 value;
	int ret;

	if (!bytes)
		return 0;
	if (get_user(value, from + bytes - 1))
		return -EFAULT;
	ret = minimal_fill(card, value);
	return ret ? ret : bytes;
}

static ssize_t minimal_read(struct file *file, char __user *to, size_t bytes, loff_t *at)
{
	struct minimal_card *card = file->private_data;
	ssize_t ret;
	void *copy;

	copy = kmalloc(MINIMAL_BYTES, GFP_KERNEL);
	if (!copy)
		return -ENOMEM;
	ret = minimal_read_object(card, copy);
	if (!ret)
		ret = simple_read_from_buffer(to, bytes, at, copy, MINIMAL_BYTES);
	kfree(copy);
	return ret;
}

static const struct file_operations minimal_fops = {
	.owner = THIS_MODULE,
	.open = minimal_open,
	.release = minimal_close,
	.read = minimal_read,
	.write = minimal_write,
};

/*
 * The card's life.
 */

/* The only reads of the config space: later ones can end the virtual machine. */
static int minimal_check_config(struct minimal_card *card)
{
	struct augur_config config;

	virtio_cread_bytes(card->vdev, 0, &config, sizeof(config));
	if (le64_to_cpu(config.magic) != AUGUR_CONFIG_MAGIC)
		return -ENODEV;
	if (le16_to_cpu(config.abi_major) != AUGUR_ABI_MAJOR)
		return -EPROTONOSUPPORT;
	card->aperture_bytes = le64_to_cpu(config.aperture_bytes);
	return 0;
}

static int minimal_map_aperture(struct minimal_card *card)
{
	struct device *dev = &card->vdev->dev;
	struct virtio_shm_region region;

	if (!virtio_get_shm_region(card->vdev, &region, 0) ||
	    region.len < card->aperture_bytes)
		return -ENODEV;
	if (!devm_request_mem_region(dev, region.addr, region.len, card->name))
		return -EBUSY;
	/* The card's process maps the same pages write-back. */
	card->aperture = devm_memremap(dev, region.addr, card->aperture_bytes, MEMREMAP_WB);
	return PTR_ERR_OR_ZERO(card->aperture);
}

static int minimal_find_queues(struct minimal_card *card)
{
	struct virtqueue_info queues[MINIMAL_QUEUES] = {
		[AUGUR_QUEUE_CONTROL] = { "control", minimal_answered },
		[AUGUR_QUEUE_EVENTS] = { "events", minimal_events_arrived },
		[AUGUR_QUEUE_SUBMIT] = { "submit", minimal_answered },
	};

	return virtio_find_vqs(card->vdev, MINIMAL_QUEUES, card->vqs, queues, NULL);
}

/* Begins a driver life, opens a context, allocates the object. */
static int minimal_greet(struct minimal_card *card)
{
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
		.bytes = cpu_to_le64(MINIMAL_BYTES),
	};
	const struct augur_map_header *header = card->aperture;
	struct augur_hello_response greeted;
	struct augur_context_create_response opened;
	struct augur_object_create_response created;
	int ret;

	ret = minimal_request(card, AUGUR_REQUEST_HELLO, &hello, sizeof(hello), &greeted,
			      sizeof(greeted));
	if (ret)
		return ret;
	/* Now the aperture shows the map header. */
	if (le64_to_cpu(header->magic) != AUGUR_MAP_HEADER_MAGIC ||
	    header->life != hello.nonce)
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

/* Ends everything that the card or an open file may still do. */
static void minimal_stop(struct minimal_card *card)
{
	mutex_lock(&card->call_lock);
	card->dead = true;
	mutex_unlock(&card->call_lock);
	mutex_lock(&card->window_lock);
	card->window_live = false;
	mutex_unlock(&card->window_lock);
	virtio_reset_device(card->vdev);
	cancel_work_sync(&card->events_work);
	card->vdev->config->del_vqs(card->vdev);
}

static int minimal_start(struct minimal_card *card)
{
	int ret;

	for (u32 i = 0; i < MINIMAL_EVENTS; i++) {
		ret = minimal_post(card, &card->events[i]);
		if (ret)
			return ret;
	}
	virtio_device_ready(card->vdev);
	virtqueue_kick(card->vqs[AUGUR_QUEUE_EVENTS]);
	ret = minimal_greet(card);
	if (ret)
		return ret;
	card->misc = (struct miscdevice) {
		.minor = MISC_DYNAMIC_MINOR,
		.name = card->name,
		.fops = &minimal_fops,
		.parent = &card->vdev->dev,
	};
	return misc_register(&card->misc);
}

static int minimal_probe(struct virtio_device *vdev)
{
	struct minimal_card *card;
	int ret;

	card = kzalloc(sizeof(*card), GFP_KERNEL);
	if (!card)
		return -ENOMEM;
	card->number = ida_alloc(&minimal_numbers, GFP_KERNEL);
	if (card->number < 0) {
		ret = card->number;
		kfree(card);
		return ret;
	}
	kref_init(&card->ref);
	card->vdev = vdev;
	vdev->priv = card;
	snprintf(card->name, sizeof(card->name), "augur-minimal%d", card->number);
	mutex_init(&card->call_lock);
	mutex_init(&card->window_lock);
	init_completion(&card->answer_done);
	init_waitqueue_head(&card->window_changed);
	INIT_WORK(&card->events_work, minimal_events_work);

	ret = minimal_check_config(card);
	if (!ret)
		ret = minimal_map_aperture(card);
	if (!ret)
		ret = minimal_find_queues(card);
	if (ret)
		goto err_put;
	ret = minimal_start(card);
	if (ret)
		goto err_stop;
	dev_info(&vdev->dev, "%llu MiB of aperture, /dev/%s\n", card->aperture_bytes >> 20,
		 card->name);
	return 0;

err_stop:
	minimal_stop(card);
err_put:
	kref_put(&card->ref, minimal_release_card);
	return ret;
}

static void minimal_remove(struct virtio_device *vdev)
{
	struct minimal_card *card = vdev->priv;

	misc_deregister(&card->misc);
	minimal_stop(card);
	kref_put(&card->ref, minimal_release_card);
}

static const struct virtio_device_id minimal_ids[] = {
	{ AUGUR_VIRTIO_ID, VIRTIO_DEV_ANY_ID },
	{ }
};
MODULE_DEVICE_TABLE(virtio, minimal_ids);

static struct virtio_driver minimal_driver = {
	.driver.name = "augur_minimal",
	.id_table = minimal_ids,
	.probe = minimal_probe,
	.remove = minimal_remove,
};
module_virtio_driver(minimal_driver);

MODULE_DESCRIPTION("Example of a small driver for the Augur card");
MODULE_AUTHOR("The Augur authors");
MODULE_LICENSE("GPL");

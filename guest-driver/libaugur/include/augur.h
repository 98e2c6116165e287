/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * libaugur: the Augur accelerator for C programs.
 *
 * Open a device, allocate objects, describe tensors in them, put commands on
 * tensors into a list, run it. A device is a context of the card: nobody else
 * sees its objects.
 *
 * Functions that return int return AUGUR_OK or a negative enum augur_result;
 * augur_message() then says what happened and what to do. Handles belong to one
 * thread at a time. Destroying NULL is allowed.
 *
 * Link with -laugur, or with libaugur.a and -lpthread -ldl -lm.
 */
#ifndef AUGUR_H
#define AUGUR_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How a function ended. */
enum augur_result {
	AUGUR_OK = 0,
	/* An argument is wrong: a null pointer, shapes or types that do not fit. */
	AUGUR_ERROR_ARGUMENT = -1,
	/* There is no card, or it cannot be opened. */
	AUGUR_ERROR_NO_CARD = -2,
	/* Device memory is exhausted. */
	AUGUR_ERROR_NO_MEMORY = -3,
	/* The card was lost. */
	AUGUR_ERROR_CARD_LOST = -4,
	/* The time allowed was over before the list ended. */
	AUGUR_ERROR_TIMED_OUT = -5,
	/* The card refused a list or failed while executing it. */
	AUGUR_ERROR_LIST_FAILED = -6,
	/* The kernel refused. */
	AUGUR_ERROR_SYSTEM = -7,
};

/* Element types. */
enum augur_type {
	AUGUR_U8 = 1,
	AUGUR_I8 = 2,
	AUGUR_I16 = 3,
	AUGUR_I32 = 4,
	AUGUR_BF16 = 5,
	AUGUR_F32 = 6,
};

/* How augur_list_reduce() reduces. */
enum augur_reduction {
	AUGUR_SUM = 0,
	AUGUR_MEAN = 1,
	AUGUR_MAXIMUM = 2,
};

/* Whose lists get engines more often. */
enum augur_priority {
	AUGUR_LOW = 0,
	AUGUR_NORMAL = 1,
	/* The driver decides who may have it. */
	AUGUR_HIGH = 2,
};

/* How mapped memory will be used. It never changes what an access finds. */
enum augur_advice {
	/* Forgets AUGUR_SEQUENTIAL and AUGUR_RANDOM. */
	AUGUR_NO_ADVICE = 0,
	/* Soon: it is mapped ahead, as far as there is room. */
	AUGUR_WILL_NEED = 1,
	/* In ascending order. */
	AUGUR_SEQUENTIAL = 2,
	/* In no order. */
	AUGUR_RANDOM = 3,
	/* So often that it should stay mapped, within bounds. */
	AUGUR_PIN = 4,
	AUGUR_UNPIN = 5,
};

#define AUGUR_RANK_LIMIT 6

/* An open card. */
struct augur_device;
/* Device memory. */
struct augur_object;
/* Commands that take effect one after another. */
struct augur_list;
/* A dma-buf that was imported. */
struct augur_buffer;
/* A row of points that are passed in order. It begins at point 0. */
struct augur_timeline;

/*
 * A typed, strided view of an object. Element (i0, i1, ...) is at
 * address + i0 * stride[0] + i1 * stride[1] + ...; change shape, stride and
 * address to make other views of the same object. Entries behind the last
 * dimension are zero.
 */
struct augur_tensor {
	uint64_t address;
	uint8_t type;
	uint8_t rank;
	uint8_t reserved[6];
	uint32_t shape[AUGUR_RANK_LIMIT];
	uint64_t stride[AUGUR_RANK_LIMIT];
};

/* What a device is like. */
struct augur_information {
	uint64_t memory_bytes;
	uint64_t usable_bytes;
	uint64_t aperture_bytes;
	uint32_t compute_engines;
	uint32_t dma_channels;
	uint32_t submit_queues;
	uint32_t context;
};

/* Parameters of a convolution; all zero but stride and groups is plain. */
struct augur_convolution {
	uint16_t stride_y, stride_x;
	uint16_t pad_top, pad_bottom, pad_left, pad_right;
	/* Channel groups, at least 1. */
	uint16_t groups;
	/* u8: bits that sums are shifted right by, rounding half up. */
	uint16_t shift;
	/* Non-zero: pad by repeating the edge, not with zeros. */
	uint8_t repeat_edge;
	/* Non-zero: take the magnitude of sums before rounding. */
	uint8_t absolute;
	uint16_t reserved;
	/* Added to each sum: an int32_t for u8, the bits of a float for f32. */
	uint32_t bias;
};

/* When a list was executed, by the card's clock. */
struct augur_completion {
	uint64_t started_ns;
	uint64_t finished_ns;
};

/* A point of a timeline. */
struct augur_point {
	const struct augur_timeline *timeline;
	uint64_t value;
};

/* What the last function that failed in this thread has to say. */
const char *augur_message(void);

/* Opens a card, the first one for NULL. */
int augur_open(const char *path, struct augur_device **device);
/* Closes it; objects and lists may be destroyed before or after. */
void augur_close(struct augur_device *device);
int augur_query(const struct augur_device *device, struct augur_information *information);
int augur_set_priority(const struct augur_device *device, enum augur_priority priority);

/* Allocates at least this many bytes. They read as zero. */
int augur_object_create(const struct augur_device *device, uint64_t bytes,
			struct augur_object **object);
/* Frees it, once lists in flight have ended. Its mapping is gone at once. */
void augur_object_destroy(struct augur_object *object);
uint64_t augur_object_bytes(const struct augur_object *object);
/*
 * Maps an object; the same address each time. Engines and other processes write
 * this memory: order your accesses by waiting for lists.
 */
int augur_object_map(struct augur_object *object, void **address);

int augur_object_advise(const struct augur_object *object, uint64_t offset, uint64_t bytes,
			enum augur_advice advice);
/*
 * Waits until no list writes the object any more, or with readers uses it, at most
 * timeout_ns nanoseconds (negative: as long as it takes).
 */
int augur_object_wait(const struct augur_object *object, int readers, int64_t timeout_ns);

/*
 * A dma-buf of the object, which others map or import; close() it. The memory
 * lives as long as it is open anywhere.
 */
int augur_object_share(const struct augur_object *object, int *descriptor);
/* Imports a dma-buf that is not of this device; the descriptor may be closed then. */
int augur_buffer_import(const struct augur_device *device, int descriptor,
			struct augur_buffer **buffer);
void augur_buffer_destroy(struct augur_buffer *buffer);
uint64_t augur_buffer_bytes(const struct augur_buffer *buffer);
/* Copies from the buffer, memory of another device, to an object, and waits. */
int augur_buffer_copy_to(const struct augur_buffer *buffer, uint64_t offset,
			 const struct augur_object *object, uint64_t object_offset,
			 uint64_t bytes);
/* The other way round. */
int augur_buffer_copy_from(const struct augur_buffer *buffer, uint64_t offset,
			   const struct augur_object *object, uint64_t object_offset,
			   uint64_t bytes);

/* A dense tensor whose first element is this many bytes into the object. */
int augur_object_tensor(const struct augur_object *object, enum augur_type type,
			uint64_t offset, uint32_t rank, const uint32_t *shape,
			struct augur_tensor *tensor);

int augur_list_create(struct augur_list **list);
void augur_list_destroy(struct augur_list *list);
/* Takes all commands out again. */
int augur_list_clear(struct augur_list *list);

/*
 * Transfers between program memory and a dense u8 tensor of rank 1 with as many
 * elements. The memory must stay until the list has ended.
 */
int augur_list_upload(struct augur_list *list, const struct augur_tensor *to,
		      const void *from, size_t bytes);
int augur_list_download(struct augur_list *list, void *to, size_t bytes,
			const struct augur_tensor *from);

/* Commands: the first tensor is the destination. See the datasheet for each. */
int augur_list_copy(struct augur_list *list, const struct augur_tensor *to,
		    const struct augur_tensor *from);
int augur_list_fill(struct augur_list *list, const struct augur_tensor *to, uint64_t value);
int augur_list_add(struct augur_list *list, const struct augur_tensor *to,
		   const struct augur_tensor *a, const struct augur_tensor *b);
int augur_list_multiply(struct augur_list *list, const struct augur_tensor *to,
			const struct augur_tensor *a, const struct augur_tensor *b);
int augur_list_relu(struct augur_list *list, const struct augur_tensor *to,
		    const struct augur_tensor *from);
int augur_list_scale(struct augur_list *list, const struct augur_tensor *to,
		     const struct augur_tensor *from, float scale, float bias);
/* accumulate: add to what the destination holds. */
int augur_list_matmul(struct augur_list *list, const struct augur_tensor *to,
		      const struct augur_tensor *a, const struct augur_tensor *b,
		      int accumulate);
/* Subtracts the product from what the destination holds. */
int augur_list_matmul_subtract(struct augur_list *list, const struct augur_tensor *to,
			       const struct augur_tensor *a, const struct augur_tensor *b);
/* The lower factor of a square f32 matrix, in place. */
int augur_list_cholesky(struct augur_list *list, const struct augur_tensor *matrix);
/* What times the transposed lower triangular l is x, in place of x. */
int augur_list_triangular_solve(struct augur_list *list, const struct augur_tensor *x,
				const struct augur_tensor *l);
int augur_list_conv2d(struct augur_list *list, const struct augur_tensor *to,
		      const struct augur_tensor *from, const struct augur_tensor *weights,
		      const struct augur_convolution *convolution);
int augur_list_resample(struct augur_list *list, const struct augur_tensor *to,
			const struct augur_tensor *from, uint32_t factor);
int augur_list_reduce(struct augur_list *list, const struct augur_tensor *to,
		      const struct augur_tensor *from, uint32_t axis,
		      enum augur_reduction reduction);
int augur_list_softmax(struct augur_list *list, const struct augur_tensor *to,
		       const struct augur_tensor *from, uint32_t axis);
int augur_list_layer_norm(struct augur_list *list, const struct augur_tensor *to,
			  const struct augur_tensor *from, const struct augur_tensor *scale,
			  const struct augur_tensor *bias, uint32_t axis, float epsilon);
int augur_list_gather(struct augur_list *list, const struct augur_tensor *to,
		      const struct augur_tensor *table, const struct augur_tensor *indices);
int augur_list_scatter(struct augur_list *list, const struct augur_tensor *table,
		       const struct augur_tensor *from, const struct augur_tensor *indices);

/* Submits a list, which may be changed or destroyed at once. */
int augur_submit(const struct augur_device *device, uint32_t queue,
		 const struct augur_list *list, uint64_t *fence);
/*
 * Submits lists in their order: all, or after an error none. fence is the first one's;
 * the others' are the numbers after it.
 */
int augur_submit_lists(const struct augur_device *device, uint32_t queue,
		       const struct augur_list *const *lists, uint32_t count,
		       uint64_t *fence);
/*
 * Waits until a list has ended, at most timeout_ns nanoseconds (negative: as long
 * as it takes). completion may be NULL.
 */
int augur_wait(const struct augur_device *device, uint64_t fence, int64_t timeout_ns,
	       struct augur_completion *completion);
/*
 * Timelines order lists of the device, of any queue, and the program. Destroying
 * one leaves lists alone that wait for its points.
 */
int augur_timeline_create(const struct augur_device *device, struct augur_timeline **timeline);
void augur_timeline_destroy(struct augur_timeline *timeline);
/* Passes a point from the program. */
int augur_timeline_pass(const struct augur_timeline *timeline, uint64_t value);
/* Waits until a point has been passed, as augur_wait(); nobody need have promised it yet. */
int augur_timeline_wait(const struct augur_timeline *timeline, uint64_t value,
			int64_t timeout_ns);
/*
 * augur_submit_lists() of lists that begin when all points of after have been passed, which
 * something submitted before has to promise, and that pass those of passes when all of them
 * have ended, well or not.
 */
int augur_submit_ordered(const struct augur_device *device, uint32_t queue,
			 const struct augur_list *const *lists, uint32_t count,
			 const struct augur_point *after, uint32_t after_count,
			 const struct augur_point *passes, uint32_t pass_count,
			 uint64_t *fence);
/* Submits a list on queue 0 and waits until it has ended. */
int augur_run(const struct augur_device *device, const struct augur_list *list);

#ifdef __cplusplus
}
#endif

#endif /* AUGUR_H */

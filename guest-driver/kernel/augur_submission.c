// SPDX-License-Identifier: GPL-2.0
/*
 * Lists that are submitted together: all of them or none.
 *
 * Everything that can fail or touches the program comes before the lists get their
 * numbers; after that nothing fails.
 */
#include <linux/dma-fence-array.h>
#include <linux/slab.h>

#include "augur_context.h"
#include "augur_device.h"
#include "augur_fence.h"
#include "augur_list.h"
#include "augur_stream.h"
#include "augur_submission.h"
#include "augur_syncs.h"
#include "augur_trace.h"

/* Tells the card the number, by which the list can be given up. */
static void augur_list_number(struct augur_list *list, u64 number)
{
	struct augur_submit_header *header = list->pieces[0];

	list->number = number;
	header->number = cpu_to_le32(lower_32_bits(number));
}

/**
 * augur_submission_free - free a submission with the lists that were not handed over
 * @submission: The submission.
 */
void augur_submission_free(struct augur_submission *submission)
{
	for (u32 i = 0; i < submission->count; i++)
		augur_list_drop(submission->lists[i]);
	if (submission->entered) {
		atomic_sub(submission->entered, &submission->context->lists);
		wake_up(&submission->context->lists_wait);
	}
	dma_fence_put(submission->end);
	augur_out_syncs_drop(submission->out, submission->out_count);
	augur_uses_drop(&submission->uses);
	kfree(submission);
}

static bool augur_submission_count(struct augur_submission *submission, u32 count)
{
	struct augur_context *context = submission->context;
	int lists = atomic_read(&context->lists);

	do {
		if (lists + count > AUGUR_MAX_LISTS)
			return false;
	} while (!atomic_try_cmpxchg(&context->lists, &lists, lists + count));
	submission->entered = count;
	return true;
}

/* Waits until the context may have that many more lists, and counts them. */
static int augur_submission_enter(struct augur_submission *submission, u32 count)
{
	struct augur_context *context = submission->context;
	int ret;

	if (READ_ONCE(context->banned))
		return -EIO;
	ret = wait_event_interruptible(context->lists_wait,
				       augur_device_is_lost(context->adev) ||
				       augur_submission_count(submission, count));
	if (ret)
		return ret;
	return submission->entered ? 0 : -EIO;
}

/**
 * augur_submission_new - begin a submission
 * @context: The context.
 * @file: The open file, or NULL for the driver's own.
 * @count: Lists that it will have.
 *
 * Waits while the context has too many lists. Return: the submission, without lists, or
 * an error.
 */
struct augur_submission *augur_submission_new(struct augur_context *context,
					      struct drm_file *file, u32 count)
{
	struct augur_submission *submission;
	int ret;

	submission = kzalloc(struct_size(submission, lists, count), GFP_KERNEL);
	if (!submission)
		return ERR_PTR(-ENOMEM);
	submission->context = context;
	submission->file = file;
	submission->uses.context = context;
	ret = augur_submission_enter(submission, count);
	if (!ret)
		return submission;
	augur_submission_free(submission);
	return ERR_PTR(ret);
}

/* Return: the fence that signals when all lists have ended, or NULL. */
static struct dma_fence *augur_submission_end(struct augur_submission *submission)
{
	struct dma_fence_array *array;
	struct dma_fence **fences;

	if (submission->count == 1)
		return dma_fence_get(&submission->lists[0]->fence->base);
	fences = kcalloc(submission->count, sizeof(*fences), GFP_KERNEL);
	if (!fences)
		return NULL;
	for (u32 i = 0; i < submission->count; i++)
		fences[i] = dma_fence_get(&submission->lists[i]->fence->base);
#ifdef AUGUR_HAS_SIGNAL_ON_ANY
	array = dma_fence_array_create(submission->count, fences,
				       dma_fence_context_alloc(1), 1, false);
#else
	array = dma_fence_array_create(submission->count, fences,
				       dma_fence_context_alloc(1), 1);
#endif
	if (array)
		return &array->base;
	for (u32 i = 0; i < submission->count; i++)
		dma_fence_put(fences[i]);
	kfree(fences);
	return NULL;
}

/**
 * augur_submission_out - have syncobjs signal when all lists have ended
 * @submission: The submission with all its lists.
 * @out: The syncobjs, or NULL; the submission frees them.
 * @count: Entries of @out.
 */
int augur_submission_out(struct augur_submission *submission, struct augur_out_sync *out,
			 u32 count)
{
	if (!out)
		return 0;
	submission->out = out;
	submission->out_count = count;
	submission->end = augur_submission_end(submission);
	return submission->end ? 0 : -ENOMEM;
}

/* Hands a list over with its number. The submit lock is held. */
static void augur_submission_push(struct augur_context *context, struct augur_list *list)
{
	const struct augur_submit_header *header = list->pieces[0];
	u64 number = context->next_fence++;

	augur_fences_add(context, number, list->fence);
	augur_list_number(list, number);
	trace_augur_submit(context->id, number, list->fence->queue,
			   le32_to_cpu(header->command_count), list->transfer_count);
	atomic64_inc(&context->adev->counters.submissions);
	augur_stream_submit(list->stream, list);
}

/**
 * augur_submission_commit - give the lists their numbers and hand them over
 * @submission: The submission.
 * @first: Out: number of the first list.
 *
 * Return: 0, or an error for which no list was handed over.
 */
int augur_submission_commit(struct augur_submission *submission, u64 *first)
{
	struct augur_context *context = submission->context;
	int ret;

	ret = augur_uses_lock(&submission->uses, submission->count);
	if (ret)
		return ret;
	mutex_lock(&context->submit_lock);
	*first = context->next_fence;
	augur_uses_commit(&submission->uses, submission->lists, submission->count);
	if (submission->out)
		augur_out_syncs_attach(submission->out, submission->out_count,
				       submission->end);
	for (u32 i = 0; i < submission->count; i++)
		augur_submission_push(context, submission->lists[i]);
	submission->count = 0;
	submission->entered = 0;
	mutex_unlock(&context->submit_lock);
	augur_uses_unlock(&submission->uses);
	return 0;
}

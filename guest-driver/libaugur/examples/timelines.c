/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Orders lists of two queues by points of a timeline: one waits for a point that the
 * program passes, the other for the first. Prints what it did; the exit code is 0 if
 * all was right, 77 without a card.
 */
#include <stdio.h>
#include <stdlib.h>

#include "augur.h"

enum { BYTES = 4096 };

/* Ends the program with the library's message if a call failed. */
static void check(int result, const char *what)
{
	if (result == AUGUR_OK)
		return;
	fprintf(stderr, "%s: %s\n", what, augur_message());
	exit(result == AUGUR_ERROR_NO_CARD ? 77 : 1);
}

int main(void)
{
	const uint32_t shape[1] = { BYTES };
	struct augur_list *fill, *read;
	const struct augur_list *lists[1];
	struct augur_information information;
	struct augur_timeline *timeline;
	struct augur_point begin, middle, end, never;
	struct augur_object *object;
	struct augur_device *device;
	struct augur_tensor bytes;
	static uint8_t found[BYTES];
	uint64_t fence;

	check(augur_open(NULL, &device), "open");
	check(augur_query(device, &information), "query");
	check(augur_object_create(device, BYTES, &object), "object");
	check(augur_object_tensor(object, AUGUR_U8, 0, 1, shape, &bytes), "bytes");
	check(augur_timeline_create(device, &timeline), "timeline");
	begin = (struct augur_point){ timeline, 1 };
	middle = (struct augur_point){ timeline, 2 };
	end = (struct augur_point){ timeline, 3 };
	never = (struct augur_point){ timeline, 4 };

	check(augur_list_create(&fill), "list");
	check(augur_list_fill(fill, &bytes, 7), "fill");
	check(augur_list_create(&read), "list");
	check(augur_list_download(read, found, BYTES, &bytes), "download");

	/* A list waits only for what somebody has promised. */
	lists[0] = fill;
	if (augur_submit_ordered(device, 0, lists, 1, &begin, 1, NULL, 0, &fence) == AUGUR_OK)
		return 1;
	check(augur_timeline_pass(timeline, begin.value), "pass");
	check(augur_submit_ordered(device, 0, lists, 1, &begin, 1, &middle, 1, &fence), "fill");
	lists[0] = read;
	check(augur_submit_ordered(device, information.submit_queues - 1, lists, 1, &middle, 1,
				   &end, 1, &fence), "read");
	check(augur_timeline_wait(timeline, end.value, -1), "wait");
	for (int i = 0; i < BYTES; i++) {
		if (found[i] != 7) {
			fprintf(stderr, "byte %d is %d\n", i, found[i]);
			return 1;
		}
	}
	if (augur_timeline_wait(timeline, never.value, 1000000) != AUGUR_ERROR_TIMED_OUT)
		return 1;
	printf("%d bytes came in order\n", BYTES);

	augur_timeline_destroy(timeline);
	augur_list_destroy(fill);
	augur_list_destroy(read);
	augur_object_destroy(object);
	augur_close(device);
	return 0;
}

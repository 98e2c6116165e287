/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * y = a * x + y on the card: uploads y, writes x through a mapping, downloads the
 * result and checks it. Prints what it did; the exit code is 0 if all was right,
 * 77 without a card.
 */
#include <stdio.h>
#include <stdlib.h>

#include "augur.h"

enum { COUNT = 100000 };

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
	static float result[COUNT], start[COUNT];
	const uint32_t shape[1] = { COUNT }, bytes[1] = { sizeof(result) };
	struct augur_tensor x, y, y_bytes;
	struct augur_information card;
	struct augur_completion times;
	struct augur_device *device;
	struct augur_object *object;
	struct augur_list *list;
	uint64_t fence;
	float *mapped;
	void *address;

	check(augur_open(NULL, &device), "open");
	check(augur_query(device, &card), "query");
	printf("a card with %u engines, %llu MiB\n", card.compute_engines,
	       (unsigned long long)(card.memory_bytes >> 20));
	check(augur_object_create(device, 2 * sizeof(result), &object), "create");
	check(augur_object_tensor(object, AUGUR_F32, 0, 1, shape, &x), "x");
	check(augur_object_tensor(object, AUGUR_F32, sizeof(result), 1, shape, &y), "y");
	check(augur_object_tensor(object, AUGUR_U8, sizeof(result), 1, bytes, &y_bytes), "bytes");

	check(augur_object_map(object, &address), "map");
	mapped = address;
	for (int i = 0; i < COUNT; i++) {
		mapped[i] = (float)i;
		start[i] = 1.0f;
	}

	check(augur_list_create(&list), "list");
	check(augur_list_upload(list, &y_bytes, start, sizeof(start)), "upload");
	check(augur_list_scale(list, &x, &x, 2.0f, 0.0f), "scale");
	check(augur_list_add(list, &y, &x, &y), "add");
	check(augur_list_download(list, result, sizeof(result), &y_bytes), "download");
	check(augur_submit(device, 0, list, &fence), "submit");
	check(augur_wait(device, fence, -1, &times), "wait");

	for (int i = 0; i < COUNT; i++) {
		if (result[i] != 2.0f * i + 1.0f || mapped[i] != 2.0f * i) {
			fprintf(stderr, "element %d is %f\n", i, result[i]);
			return 1;
		}
	}
	printf("%d sums are right\n", COUNT);

	/* Mistakes are numbers with a message, not crashes. */
	if (augur_list_add(list, &y, &x, &y_bytes) != AUGUR_ERROR_ARGUMENT ||
	    augur_list_add(list, &y, NULL, &x) != AUGUR_ERROR_ARGUMENT ||
	    augur_object_create(device, ~0ull >> 8, &object) != AUGUR_ERROR_NO_MEMORY)
		return 1;
	printf("refused: %s\n", augur_message());
	augur_list_destroy(list);
	augur_object_destroy(object);
	augur_close(device);
	return times.finished_ns >= times.started_ns ? 0 : 1;
}

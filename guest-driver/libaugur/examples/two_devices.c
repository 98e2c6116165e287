/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Solves A x = b on the card by a Cholesky factor, with lists that are submitted
 * together, and has a second device (which may be another card) copy the solution.
 * Prints what it did; the exit code is 0 if all was right, 77 without a card.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "augur.h"

enum { SIZE = 64 };

/* Ends the program with the library's message if a call failed. */
static void check(int result, const char *what)
{
	if (result == AUGUR_OK)
		return;
	fprintf(stderr, "%s: %s\n", what, augur_message());
	exit(result == AUGUR_ERROR_NO_CARD ? 77 : 1);
}

/* The same tensor with its two dimensions exchanged. */
static struct augur_tensor transposed(struct augur_tensor matrix)
{
	const uint32_t rows = matrix.shape[0];
	const uint64_t step = matrix.stride[0];

	matrix.shape[0] = matrix.shape[1];
	matrix.shape[1] = rows;
	matrix.stride[0] = matrix.stride[1];
	matrix.stride[1] = step;
	return matrix;
}

int main(int count, char **words)
{
	static float a[SIZE][SIZE], right[SIZE], found[SIZE];
	const uint32_t square[2] = { SIZE, SIZE }, row[2] = { 1, SIZE };
	const uint32_t a_bytes[1] = { sizeof(a) }, row_bytes[1] = { sizeof(right) };
	struct augur_object *matrix, *vector, *check_sum, *copy;
	struct augur_tensor factor, x, left, bytes;
	struct augur_device *device, *other;
	struct augur_list *lists[2], *check_list, *read;
	struct augur_buffer *shared;
	uint64_t fence;
	int descriptor;

	check(augur_open(NULL, &device), "open");
	check(augur_open(count > 1 ? words[1] : NULL, &other), "open the other");
	check(augur_set_priority(device, AUGUR_LOW), "priority");
	check(augur_object_create(device, sizeof(a), &matrix), "matrix");
	check(augur_object_create(device, sizeof(right), &vector), "vector");
	check(augur_object_create(device, sizeof(right), &check_sum), "sum");
	check(augur_object_advise(matrix, 0, sizeof(a), AUGUR_SEQUENTIAL), "advise");
	check(augur_object_tensor(matrix, AUGUR_F32, 0, 2, square, &factor), "factor");
	check(augur_object_tensor(vector, AUGUR_F32, 0, 2, row, &x), "x");

	/* Symmetric, and heavy on its diagonal. */
	for (int i = 0; i < SIZE; i++) {
		for (int j = 0; j < SIZE; j++)
			a[i][j] = i == j ? SIZE : 1.0f / (1 + abs(i - j));
		right[i] = (float)(i % 7);
	}

	/* One list brings the matrix and factors it, the other makes L y = b of b. */
	for (int i = 0; i < 2; i++)
		check(augur_list_create(&lists[i]), "list");
	check(augur_object_tensor(matrix, AUGUR_U8, 0, 1, a_bytes, &bytes), "bytes");
	check(augur_list_upload(lists[0], &bytes, a, sizeof(a)), "upload");
	check(augur_list_cholesky(lists[0], &factor), "cholesky");
	check(augur_object_tensor(vector, AUGUR_U8, 0, 1, row_bytes, &bytes), "bytes");
	check(augur_list_upload(lists[1], &bytes, right, sizeof(right)), "upload");
	check(augur_list_triangular_solve(lists[1], &x, &factor), "solve");
	check(augur_submit_lists(device, 0, (const struct augur_list *const *)lists, 2, &fence),
	      "submit");
	check(augur_wait(device, fence + 1, -1, NULL), "wait");
	check(augur_object_wait(vector, 1, -1), "wait for the vector");

	/* y L^T less the right side is nothing: minus (y L^T) plus b. */
	check(augur_list_create(&check_list), "list");
	check(augur_object_tensor(check_sum, AUGUR_U8, 0, 1, row_bytes, &bytes), "bytes");
	check(augur_object_tensor(check_sum, AUGUR_F32, 0, 2, row, &left), "left");
	check(augur_list_upload(check_list, &bytes, right, sizeof(right)), "upload");
	factor = transposed(factor);
	check(augur_list_matmul_subtract(check_list, &left, &x, &factor), "subtract");
	check(augur_run(device, check_list), "check");

	/* The other device copies what is left, and reads it. */
	check(augur_object_share(check_sum, &descriptor), "share");
	check(augur_buffer_import(other, descriptor, &shared), "import");
	close(descriptor);
	check(augur_object_create(other, sizeof(found), &copy), "copy");
	check(augur_buffer_copy_to(shared, 0, copy, 0, sizeof(found)), "copy to");
	check(augur_list_create(&read), "list");
	check(augur_object_tensor(copy, AUGUR_U8, 0, 1, row_bytes, &bytes), "bytes");
	check(augur_list_download(read, found, sizeof(found), &bytes), "download");
	check(augur_run(other, read), "read");
	for (int i = 0; i < SIZE; i++) {
		if (fabsf(found[i]) > 1e-4f) {
			fprintf(stderr, "row %d is off by %f\n", i, found[i]);
			return 1;
		}
	}
	if (augur_buffer_bytes(shared) < sizeof(found) ||
	    augur_buffer_copy_from(shared, ~0ull, copy, 0, 1) == AUGUR_OK)
		return 1;
	printf("%d rows are right\n", SIZE);

	for (int i = 0; i < 2; i++)
		augur_list_destroy(lists[i]);
	augur_list_destroy(check_list);
	augur_list_destroy(read);
	augur_buffer_destroy(shared);
	augur_object_destroy(copy);
	augur_object_destroy(check_sum);
	augur_object_destroy(vector);
	augur_object_destroy(matrix);
	augur_close(other);
	augur_close(device);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/* Host tests of the walk over command lists. */
#include "augur_command_list.h"

#include <linux/errno.h>
#include <string.h>
#include <asm/byteorder.h>

#include "augur_card_abi.h"
#include "test.h"

#define LIST_BYTES	1024

struct list {
	u8 bytes[LIST_BYTES];
	size_t length;
	u32 count;
};

static void read_list(const void *from, size_t offset, void *to, size_t bytes)
{
	const struct list *list = from;

	CHECK(offset + bytes <= list->length);
	memcpy(to, list->bytes + offset, bytes);
}

static void add(struct list *list, u16 opcode, u32 bytes, u32 transfer)
{
	struct augur_command_header header = {
		.opcode = cpu_to_le16(opcode),
		.bytes = cpu_to_le32(bytes),
	};
	struct augur_transfer_params params = { .transfer = cpu_to_le32(transfer) };

	memcpy(list->bytes + list->length, &header, sizeof(header));
	if (bytes >= sizeof(header) + sizeof(params))
		memcpy(list->bytes + list->length + sizeof(header), &params,
		       sizeof(params));
	list->length += bytes;
	list->count++;
}

static int check(const struct list *list, const u8 *writable, u32 transfers)
{
	return augur_command_list_check(read_list, list, list->length, list->count,
					writable, transfers);
}

static void commands_that_fill_the_list_pass(void)
{
	const u8 writable[] = { 0, 1 };
	struct list list = { 0 };

	CHECK(check(&list, NULL, 0) == 0);
	add(&list, AUGUR_OP_FILL, 104, 0);
	add(&list, AUGUR_OP_TRANSFER_IN, 112, 0);
	add(&list, AUGUR_OP_TRANSFER_OUT, 112, 1);
	CHECK(check(&list, writable, 2) == 0);
}

static void a_transfer_out_needs_writable_memory(void)
{
	const u8 writable[] = { 0, 1 };
	struct list list = { 0 };

	add(&list, AUGUR_OP_TRANSFER_OUT, 112, 0);
	CHECK(check(&list, writable, 2) == -EACCES);
}

static void a_transfer_must_exist(void)
{
	const u8 writable[] = { 1 };
	struct list list = { 0 };

	add(&list, AUGUR_OP_TRANSFER_IN, 112, 1);
	CHECK(check(&list, writable, 1) == -EINVAL);
	CHECK(check(&list, NULL, 0) == -EINVAL);
}

static void a_transfer_must_have_its_parameters(void)
{
	const u8 writable[] = { 1 };
	struct list list = { 0 };

	add(&list, AUGUR_OP_TRANSFER_OUT, 16, 0);
	CHECK(check(&list, writable, 1) == -EINVAL);
}

static void commands_must_fill_the_list_exactly(void)
{
	struct list list = { 0 };

	add(&list, AUGUR_OP_FILL, 104, 0);
	list.count++;
	CHECK(check(&list, NULL, 0) == -EINVAL);
	list.count = 0;
	CHECK(check(&list, NULL, 0) == -EINVAL);
	list.count = 1;
	list.length += 8;
	CHECK(check(&list, NULL, 0) == -EINVAL);
	list.length = 4;
	CHECK(check(&list, NULL, 0) == -EINVAL);
}

static void sizes_that_lead_astray_are_refused(void)
{
	static const u32 sizes[] = { 0, 4, 7, 9, 12, 112 + 8, 0x80000000, 0xfffffff8 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct list list = { 0 };
		__le32 bytes = cpu_to_le32(sizes[i]);

		add(&list, AUGUR_OP_COPY, 112, 0);
		memcpy(list.bytes + offsetof(struct augur_command_header, bytes), &bytes,
		       sizeof(bytes));
		CHECK(check(&list, NULL, 0) == -EINVAL);
	}
}

int main(void)
{
	RUN(commands_that_fill_the_list_pass);
	RUN(a_transfer_out_needs_writable_memory);
	RUN(a_transfer_must_exist);
	RUN(a_transfer_must_have_its_parameters);
	RUN(commands_must_fill_the_list_exactly);
	RUN(sizes_that_lead_astray_are_refused);
	return 0;
}

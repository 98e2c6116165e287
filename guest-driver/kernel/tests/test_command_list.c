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

/* What the walk told of operands. */
struct told {
	u64 addresses[8];
	bool writes[8];
	u32 count;
	int answer;
};

static int tell(void *user, u64 address, bool write)
{
	struct told *told = user;

	CHECK(told->count < ARRAY_SIZE(told->addresses));
	told->addresses[told->count] = address;
	told->writes[told->count++] = write;
	return told->answer;
}

static int walk(const struct list *list, const u8 *writable, u32 transfers,
		struct told *told)
{
	const struct augur_list_walk walk = {
		.read = read_list,
		.list = list,
		.bytes = list->length,
		.command_count = list->count,
		.writable = writable,
		.transfer_count = transfers,
		.use = tell,
		.user = told,
	};

	return augur_command_list_check(&walk);
}

static int check(const struct list *list, const u8 *writable, u32 transfers)
{
	struct told told = { 0 };

	return walk(list, writable, transfers, &told);
}

/* Makes the end of a command its operands. */
static void set_operands(struct list *list, size_t command, u16 operands)
{
	struct augur_command_header header;
	size_t at;

	memcpy(&header, list->bytes + command, sizeof(header));
	header.operand_count = cpu_to_le16(operands);
	memcpy(list->bytes + command, &header, sizeof(header));
	at = command + le32_to_cpu(header.bytes) - operands * sizeof(struct augur_operand);
	for (u16 i = 0; i < operands; i++) {
		struct augur_operand operand = { .address = cpu_to_le64(1000 + i) };

		memcpy(list->bytes + at, &operand, sizeof(operand));
		at += sizeof(operand);
	}
}

static void operands_are_told_with_what_is_written(void)
{
	const u32 bytes = sizeof(struct augur_command_header) +
			  2 * sizeof(struct augur_operand);
	const u8 writable[] = { 1 };
	struct told told = { 0 };
	struct list list = { 0 };

	add(&list, AUGUR_OP_COPY, bytes, 0);
	set_operands(&list, 0, 2);
	CHECK(walk(&list, NULL, 0, &told) == 0);
	CHECK(told.count == 2 && told.addresses[0] == 1000 && told.addresses[1] == 1001);
	CHECK(told.writes[0] && !told.writes[1]);

	list = (struct list) { 0 };
	told = (struct told) { 0 };
	add(&list, AUGUR_OP_TRANSFER_OUT, bytes, 0);
	set_operands(&list, 0, 1);
	CHECK(walk(&list, writable, 1, &told) == 0);
	CHECK(told.count == 1 && !told.writes[0]);
}

static void operands_that_do_not_fit_are_left_to_the_card(void)
{
	static const u16 counts[] = { 3, 4, 5, 255, 65535 };
	const u32 bytes = sizeof(struct augur_command_header) +
			  2 * sizeof(struct augur_operand);

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		struct augur_command_header header;
		struct told told = { 0 };
		struct list list = { 0 };

		add(&list, AUGUR_OP_COPY, bytes, 0);
		memcpy(&header, list.bytes, sizeof(header));
		header.operand_count = cpu_to_le16(counts[i]);
		memcpy(list.bytes, &header, sizeof(header));
		CHECK(walk(&list, NULL, 0, &told) == 0);
		CHECK(told.count == 0);
	}
}

static void an_error_of_the_listener_ends_the_walk(void)
{
	const u32 bytes = sizeof(struct augur_command_header) +
			  2 * sizeof(struct augur_operand);
	struct told told = { .answer = -ENOMEM };
	struct list list = { 0 };

	add(&list, AUGUR_OP_COPY, bytes, 0);
	set_operands(&list, 0, 2);
	CHECK(walk(&list, NULL, 0, &told) == -ENOMEM);
	CHECK(told.count == 1);
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
	RUN(operands_are_told_with_what_is_written);
	RUN(operands_that_do_not_fit_are_left_to_the_card);
	RUN(an_error_of_the_listener_ends_the_walk);
	RUN(commands_that_fill_the_list_pass);
	RUN(a_transfer_out_needs_writable_memory);
	RUN(a_transfer_must_exist);
	RUN(a_transfer_must_have_its_parameters);
	RUN(commands_must_fill_the_list_exactly);
	RUN(sizes_that_lead_astray_are_refused);
	return 0;
}

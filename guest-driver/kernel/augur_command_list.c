// SPDX-License-Identifier: GPL-2.0
/*
 * The walk over a command list before it goes to the card.
 *
 * The card checks a list as a whole. What only the driver can check is that a
 * command which writes program memory names memory that was pinned for writing:
 * otherwise a program could have the card write to pages that it may only read.
 * On the way it tells which objects a list uses, for those who wait for an object.
 */
#include <linux/errno.h>
#include <linux/types.h>
#include <asm/byteorder.h>

#include "augur_card_abi.h"
#include "augur_command_list.h"

/* Checks the transfer that a command names, if its opcode names one. */
static int augur_command_transfer(const struct augur_list_walk *walk, size_t offset,
				  u16 opcode, u32 bytes)
{
	struct augur_transfer_params params;
	u32 transfer;

	if (opcode != AUGUR_OP_TRANSFER_IN && opcode != AUGUR_OP_TRANSFER_OUT)
		return 0;
	if (bytes < sizeof(struct augur_command_header) + sizeof(params))
		return -EINVAL;
	walk->read(walk->list, offset + sizeof(struct augur_command_header), &params,
		   sizeof(params));
	transfer = le32_to_cpu(params.transfer);
	if (transfer >= walk->transfer_count)
		return -EINVAL;
	if (opcode == AUGUR_OP_TRANSFER_OUT && !walk->writable[transfer])
		return -EACCES;
	return 0;
}

/*
 * Tells of a command's operands: they end it, and the first is its destination. A
 * command with more of them than it has room for is the card's to refuse.
 */
static int augur_command_operands(const struct augur_list_walk *walk, size_t offset,
				  u16 opcode, u32 bytes, u16 count)
{
	struct augur_operand operand;
	size_t at;
	int ret;

	if (count > AUGUR_MAX_OPERANDS ||
	    count * sizeof(operand) > bytes - sizeof(struct augur_command_header))
		return 0;
	at = offset + bytes - count * sizeof(operand);
	for (u16 i = 0; i < count; i++) {
		walk->read(walk->list, at + i * sizeof(operand), &operand, sizeof(operand));
		ret = walk->use(walk->user, le64_to_cpu(operand.address),
				!i && opcode != AUGUR_OP_TRANSFER_OUT);
		if (ret)
			return ret;
	}
	return 0;
}

/**
 * augur_command_list_check - check a list's frame and the transfers it writes
 * @walk: The list.
 *
 * Return: 0; -EINVAL when the commands do not fill the list exactly or a command
 * names no transfer; -EACCES when a command writes to a transfer that is not
 * writable; what @walk->use returned.
 */
int augur_command_list_check(const struct augur_list_walk *walk)
{
	size_t offset = 0;
	int ret;

	for (u32 i = 0; i < walk->command_count; i++) {
		struct augur_command_header header;
		size_t left = walk->bytes - offset;
		u16 opcode;
		u32 bytes;

		if (left < sizeof(header))
			return -EINVAL;
		walk->read(walk->list, offset, &header, sizeof(header));
		bytes = le32_to_cpu(header.bytes);
		if (bytes < sizeof(header) || bytes % 8 || bytes > left)
			return -EINVAL;

		opcode = le16_to_cpu(header.opcode);
		ret = augur_command_transfer(walk, offset, opcode, bytes);
		if (!ret)
			ret = augur_command_operands(walk, offset, opcode, bytes,
						     le16_to_cpu(header.operand_count));
		if (ret)
			return ret;
		offset += bytes;
	}
	return offset == walk->bytes ? 0 : -EINVAL;
}

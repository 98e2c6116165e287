// SPDX-License-Identifier: GPL-2.0
/*
 * The walk over a command list before it goes to the card.
 *
 * The card checks a list as a whole. What only the driver can check is that a
 * command which writes program memory names memory that was pinned for writing:
 * otherwise a program could have the card write to pages that it may only read.
 */
#include <linux/errno.h>
#include <linux/types.h>
#include <asm/byteorder.h>

#include "augur_card_abi.h"
#include "augur_command_list.h"

/**
 * augur_command_list_check - check a list's frame and the transfers it writes
 * @read: Copies a part of the list.
 * @list: The list.
 * @list_bytes: Bytes of the list.
 * @command_count: Commands that the list is said to have.
 * @writable: For each transfer, not zero when its memory was pinned for writing.
 * @transfer_count: Transfers.
 *
 * Return: 0; -EINVAL when the commands do not fill the list exactly or a command
 * names no transfer; -EACCES when a command writes to a transfer that is not
 * writable.
 */
int augur_command_list_check(augur_list_read read, const void *list,
			     size_t list_bytes, u32 command_count,
			     const u8 *writable, u32 transfer_count)
{
	size_t offset = 0;

	for (u32 i = 0; i < command_count; i++) {
		struct augur_command_header header;
		struct augur_transfer_params params;
		size_t left = list_bytes - offset;
		u32 bytes, transfer;
		u16 opcode;

		if (left < sizeof(header))
			return -EINVAL;
		read(list, offset, &header, sizeof(header));
		bytes = le32_to_cpu(header.bytes);
		if (bytes < sizeof(header) || bytes % 8 || bytes > left)
			return -EINVAL;

		opcode = le16_to_cpu(header.opcode);
		if (opcode == AUGUR_OP_TRANSFER_IN || opcode == AUGUR_OP_TRANSFER_OUT) {
			if (bytes < sizeof(header) + sizeof(params))
				return -EINVAL;
			read(list, offset + sizeof(header), &params, sizeof(params));
			transfer = le32_to_cpu(params.transfer);
			if (transfer >= transfer_count)
				return -EINVAL;
			if (opcode == AUGUR_OP_TRANSFER_OUT && !writable[transfer])
				return -EACCES;
		}
		offset += bytes;
	}
	return offset == list_bytes ? 0 : -EINVAL;
}

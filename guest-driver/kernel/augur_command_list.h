/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the driver must know of a command list before it lets the card have it.
 *
 * Pure logic: compiled for the host as well and tested there.
 */
#ifndef _AUGUR_COMMAND_LIST_H_
#define _AUGUR_COMMAND_LIST_H_

#include <linux/types.h>

/**
 * typedef augur_list_read - copies a part of a list
 * @list: The list.
 * @offset: Where the part starts; the part lies within the list.
 * @to: Where it goes.
 * @bytes: Bytes of the part.
 */
typedef void (*augur_list_read)(const void *list, size_t offset, void *to,
				size_t bytes);

int augur_command_list_check(augur_list_read read, const void *list,
			     size_t list_bytes, u32 command_count,
			     const u8 *writable, u32 transfer_count);

#endif

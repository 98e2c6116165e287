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

/**
 * typedef augur_list_use - hears of an operand
 * @user: Who hears.
 * @address: The operand's first device address, not checked.
 * @write: The command writes there.
 *
 * Return: 0, or an error that ends the walk.
 */
typedef int (*augur_list_use)(void *user, u64 address, bool write);

/**
 * struct augur_list_walk - a walk over a command list
 * @read: Copies a part of the list.
 * @list: The list.
 * @bytes: Bytes of the list.
 * @command_count: Commands that the list is said to have.
 * @writable: For each transfer, not zero when its memory may be written.
 * @transfer_count: Transfers.
 * @use: Hears of each operand.
 * @user: For @use.
 */
struct augur_list_walk {
	augur_list_read read;
	const void *list;
	size_t bytes;
	u32 command_count;
	const u8 *writable;
	u32 transfer_count;
	augur_list_use use;
	void *user;
};

int augur_command_list_check(const struct augur_list_walk *walk);

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/* The kernel's integer types on the host. */
#ifndef AUGUR_TEST_LINUX_TYPES_H
#define AUGUR_TEST_LINUX_TYPES_H

#include <stdbool.h>
#include <stddef.h>

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int s32;
typedef u8 __u8;
typedef u16 __u16;
typedef u32 __u32;
typedef u64 __u64;
typedef u16 __le16;
typedef u32 __le32;
typedef u64 __le64;

#endif

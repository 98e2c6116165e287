/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A 32-bit program that uses the card: every structure with 64-bit fields crosses
 * from a 32-bit caller to the 64-bit kernel. It has no C library.
 *
 * Exit codes: 0 all was well; else the number of the step that was not.
 */
#include "augur_card_abi.h"
#include "drm/augur_accel.h"

_Static_assert(sizeof(void *) == 4, "a 32-bit program");

enum { SYS_EXIT = 1, SYS_OPEN = 5, SYS_IOCTL = 54, SYS_MMAP2 = 192 };

int call(int number, unsigned int a, unsigned int b, unsigned int c, unsigned int d,
	 unsigned int e, unsigned int f);

__asm__(".text\n"
	".globl call\n"
	"call:\n"
	"	push %ebp\n	push %edi\n	push %esi\n	push %ebx\n"
	"	mov 20(%esp), %eax\n	mov 24(%esp), %ebx\n	mov 28(%esp), %ecx\n"
	"	mov 32(%esp), %edx\n	mov 36(%esp), %esi\n	mov 40(%esp), %edi\n"
	"	mov 44(%esp), %ebp\n"
	"	int $0x80\n"
	"	pop %ebx\n	pop %esi\n	pop %edi\n	pop %ebp\n"
	"	ret\n");

static void end(int code)
{
	for (;;)
		call(SYS_EXIT, code, 0, 0, 0, 0, 0);
}

static void step(int number, int passed)
{
	if (!passed)
		end(number);
}

static __u64 address(const void *pointer)
{
	return (unsigned int)pointer;
}

/* Zeroed by the loader, so that no memset is needed. */
static struct drm_augur_query_device device;
static struct drm_augur_dev_query query;
static struct drm_augur_bo_create object;
static struct drm_augur_bo_info info;
static struct drm_augur_bo_wait object_wait;
static struct drm_augur_submit submit;
static struct drm_augur_submit_lists lists;
static struct drm_augur_list list[2];
static struct drm_augur_transfer transfer;
static struct drm_augur_wait wait;
static __u8 memory[4096];

static struct {
	struct augur_command_header header;
	struct augur_fill_params params;
	struct augur_operand operand;
} fill;

static struct {
	struct augur_command_header header;
	struct augur_transfer_params params;
	struct augur_operand operand;
} out;

static void operand(struct augur_operand *operand)
{
	operand->address = object.device_address;
	operand->data_type = AUGUR_TYPE_U8;
	operand->rank = 1;
	operand->shape[0] = 4096;
	operand->stride[0] = 1;
}

static int ioctl(int file, unsigned int number, void *argument)
{
	return call(SYS_IOCTL, file, number, (unsigned int)argument, 0, 0, 0);
}

static void finished(int number, int file, __u64 fence)
{
	wait.fence = fence;
	wait.timeout_ns = 0x7fffffffffffffffll;
	step(number, ioctl(file, DRM_IOCTL_AUGUR_WAIT, &wait) == 0 &&
		     wait.status == AUGUR_STATUS_OK && wait.finished_ns >= wait.started_ns);
}

void _start(void)
{
	const volatile __u8 *mapped;
	int file = call(SYS_OPEN, (unsigned int)"/dev/accel/accel0", 2, 0, 0, 0, 0);

	step(1, file >= 0);
	query.type = DRM_AUGUR_QUERY_DEVICE;
	query.size = sizeof(device);
	query.pointer = address(&device);
	step(2, ioctl(file, DRM_IOCTL_AUGUR_DEV_QUERY, &query) == 0 &&
		query.size == sizeof(device) && device.memory_bytes > device.aperture_bytes &&
		device.abi_major == AUGUR_ABI_MAJOR);
	object.size = 4096;
	step(3, ioctl(file, DRM_IOCTL_AUGUR_BO_CREATE, &object) == 0 && object.size == 4096);
	info.handle = object.handle;
	step(4, ioctl(file, DRM_IOCTL_AUGUR_BO_INFO, &info) == 0 &&
		info.device_address == object.device_address &&
		info.mmap_offset == object.mmap_offset);

	fill.header.opcode = AUGUR_OP_FILL;
	fill.header.operand_count = 1;
	fill.header.bytes = sizeof(fill);
	fill.params.value = 0x5a;
	operand(&fill.operand);
	submit.commands = address(&fill);
	submit.commands_size = sizeof(fill);
	submit.command_count = 1;
	step(5, ioctl(file, DRM_IOCTL_AUGUR_SUBMIT, &submit) == 0);
	finished(6, file, submit.wait.fence);
	submit.flags = DRM_AUGUR_SUBMIT_WAIT;
	submit.wait.timeout_ns = 0x7fffffffffffffffll;
	step(12, ioctl(file, DRM_IOCTL_AUGUR_SUBMIT, &submit) == 0 && !submit.wait_error &&
		 submit.wait.status == AUGUR_STATUS_OK && submit.wait.finished_ns &&
		 submit.wait.finished_ns >= submit.wait.started_ns);
	finished(13, file, submit.wait.fence);

	out.header.opcode = AUGUR_OP_TRANSFER_OUT;
	out.header.operand_count = 1;
	out.header.bytes = sizeof(out);
	operand(&out.operand);
	transfer.address = address(memory);
	transfer.size = sizeof(memory);
	transfer.flags = DRM_AUGUR_TRANSFER_WRITES_MEMORY;
	list[0].commands = address(&fill);
	list[0].commands_size = sizeof(fill);
	list[0].command_count = 1;
	list[1].commands = address(&out);
	list[1].commands_size = sizeof(out);
	list[1].command_count = 1;
	list[1].transfers = address(&transfer);
	list[1].transfer_count = 1;
	fill.params.value = 0xa5;
	lists.lists = address(list);
	lists.list_count = 2;
	step(7, ioctl(file, DRM_IOCTL_AUGUR_SUBMIT_LISTS, &lists) == 0);
	finished(8, file, lists.fence + 1);
	for (int i = 0; i < 4096; i++)
		step(9, memory[i] == 0xa5);
	object_wait.handle = object.handle;
	object_wait.flags = DRM_AUGUR_WAIT_FOR_READERS;
	object_wait.timeout_ns = 0x7fffffffffffffffll;
	step(10, ioctl(file, DRM_IOCTL_AUGUR_BO_WAIT, &object_wait) == 0);

	mapped = (const volatile __u8 *)call(SYS_MMAP2, 0, 4096, 1, 1, file,
					      object.mmap_offset >> 12);
	step(11, (unsigned int)mapped < 0xfffff000u && mapped[4095] == 0xa5);
	end(0);
}

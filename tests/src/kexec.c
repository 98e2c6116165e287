// SPDX-License-Identifier: GPL-2.0
/*
 * Starts another kernel from the running one, without asking any program to end:
 * /input/vmlinuz with /tmp/initramfs and the words of this kernel's command line.
 */
#include <linux/fcntl.h>
#include <linux/kexec.h>
#include <linux/reboot.h>
#include <linux/unistd.h>

static long call(long number, long a, long b, long c, long d, long e)
{
	register long fourth __asm__("r10") = d;
	register long fifth __asm__("r8") = e;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth)
			 : "rcx", "r11", "memory");
	return result;
}

static long open_file(const char *path)
{
	return call(__NR_open, (long)path, O_RDONLY, 0, 0, 0);
}

/* Exit codes say which step failed. */
void _start(void)
{
	static char words[4096];
	long kernel = open_file("/input/vmlinuz");
	long initramfs = open_file("/tmp/initramfs");
	long length = call(__NR_read, open_file("/proc/cmdline"), (long)words,
			   sizeof(words) - 1, 0, 0);
	int code = 0;

	if (kernel < 0 || initramfs < 0 || length < 1)
		code = 1;
	/* Without the line's end, with the string's. */
	words[length - 1] = 0;
	if (!code && call(__NR_kexec_file_load, kernel, initramfs, length, (long)words, 0))
		code = 2;
	if (!code)
		call(__NR_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
		     LINUX_REBOOT_CMD_KEXEC, 0, 0);
	call(__NR_exit, code ? code : 3, 0, 0, 0, 0);
	__builtin_unreachable();
}

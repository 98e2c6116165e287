/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * An instruction stream for a task system that knows whole handles: what
 * `augur bench peers` writes, in the machine's byte order. A program runs it
 * once and prints two numbers: nanoseconds until everything was submitted, and
 * until everything had ended.
 */
#ifndef AUGUR_PEERS_STREAM_H
#define AUGUR_PEERS_STREAM_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct task {
	uint32_t nanoseconds;
	uint32_t first;
	uint32_t count;
};

struct use {
	uint32_t handle;
	uint32_t writes;
};

struct stream {
	uint32_t tasks;
	uint32_t handles;
	uint32_t uses;
	struct task *task;
	struct use *use;
	unsigned int workers;
	int spins;
};

static void stream_die(const char *why)
{
	fprintf(stderr, "%s\n", why);
	exit(1);
}

static void stream_fill(void *to, size_t bytes, FILE *file)
{
	if (fread(to, 1, bytes, file) != bytes)
		stream_die("the stream ends early");
}

/* usage: PROGRAM FILE WORKERS empty|spin */
static struct stream stream_read(int argc, char **argv)
{
	struct stream stream;
	uint32_t head[3];
	FILE *file;

	if (argc != 4)
		stream_die("usage: PROGRAM FILE WORKERS empty|spin");
	file = fopen(argv[1], "rb");
	if (!file)
		stream_die("no such stream");
	stream_fill(head, sizeof(head), file);
	stream.tasks = head[0];
	stream.handles = head[1];
	stream.uses = head[2];
	stream.workers = (unsigned int)atoi(argv[2]);
	stream.spins = strcmp(argv[3], "spin") == 0;
	stream.task = (struct task *)calloc(stream.tasks, sizeof(struct task));
	stream.use = (struct use *)calloc(stream.uses, sizeof(struct use));
	if (!stream.task || !stream.use)
		stream_die("no memory");
	stream_fill(stream.task, stream.tasks * sizeof(struct task), file);
	stream_fill(stream.use, stream.uses * sizeof(struct use), file);
	fclose(file);
	return stream;
}

static uint64_t stream_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* What a task does: nothing, or work for its time. */
static void stream_work(const struct stream *stream, const struct task *task)
{
	uint64_t end;

	if (!stream->spins)
		return;
	end = stream_now() + task->nanoseconds;
	while (stream_now() < end)
		;
}

static void stream_report(uint64_t begun, uint64_t submitted, uint64_t ended)
{
	printf("%llu %llu\n", (unsigned long long)(submitted - begun),
	       (unsigned long long)(ended - begun));
}

#endif

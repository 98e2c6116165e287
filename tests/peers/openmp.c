// SPDX-License-Identifier: MIT OR Apache-2.0
/* The stream as OpenMP tasks with depend clauses, on libgomp. */
#include "stream.h"

int main(int argc, char **argv)
{
	struct stream stream = stream_read(argc, argv);
	char *handles = (char *)calloc(stream.handles, 1);
	char **reads = (char **)calloc(stream.uses + 1, sizeof(char *));
	char **writes = (char **)calloc(stream.uses + 1, sizeof(char *));
	uint64_t begun, submitted = 0, ended;

	if (!handles || !reads || !writes)
		stream_die("no memory");
	/* The threads are there when time begins. */
#pragma omp parallel num_threads(stream.workers)
	{
#pragma omp barrier
	}
	begun = stream_now();
#pragma omp parallel num_threads(stream.workers)
#pragma omp single
	{
		for (uint32_t t = 0; t < stream.tasks; t++) {
			const struct task *task = &stream.task[t];
			int read = 0, write = 0;

			for (uint32_t u = 0; u < task->count; u++) {
				const struct use *use = &stream.use[task->first + u];

				if (use->writes)
					writes[write++] = &handles[use->handle];
				else
					reads[read++] = &handles[use->handle];
			}
#pragma omp task firstprivate(task) \
	depend(iterator(int i = 0 : read), in : *reads[i]) \
	depend(iterator(int i = 0 : write), inout : *writes[i])
			stream_work(&stream, task);
		}
		submitted = stream_now();
	}
	ended = stream_now();
	stream_report(begun, submitted, ended);
	return 0;
}

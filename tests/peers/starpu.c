// SPDX-License-Identifier: MIT OR Apache-2.0
/* The stream as StarPU tasks on data handles without data. */
#include <starpu.h>

#include "stream.h"

struct argument {
	const struct stream *stream;
	const struct task *task;
};

static void work(void *buffers[], void *argument)
{
	const struct argument *given = (const struct argument *)argument;

	(void)buffers;
	stream_work(given->stream, given->task);
}

static struct starpu_codelet codelet = {
	.cpu_funcs = { work },
	.nbuffers = STARPU_VARIABLE_NBUFFERS,
	.name = "work",
};

int main(int argc, char **argv)
{
	struct stream stream = stream_read(argc, argv);
	struct starpu_conf conf;
	starpu_data_handle_t *handles;
	struct starpu_data_descr *uses;
	struct argument *arguments;
	uint64_t begun, submitted, ended;

	starpu_conf_init(&conf);
	conf.ncpus = (int)stream.workers;
	if (starpu_init(&conf))
		stream_die("StarPU does not start");
	handles = (starpu_data_handle_t *)calloc(stream.handles, sizeof(*handles));
	uses = (struct starpu_data_descr *)calloc(stream.uses + 1, sizeof(*uses));
	arguments = (struct argument *)calloc(stream.tasks, sizeof(*arguments));
	if (!handles || !uses || !arguments)
		stream_die("no memory");
	for (uint32_t h = 0; h < stream.handles; h++)
		starpu_void_data_register(&handles[h]);

	begun = stream_now();
	for (uint32_t t = 0; t < stream.tasks; t++) {
		const struct task *task = &stream.task[t];

		arguments[t].stream = &stream;
		arguments[t].task = task;
		for (uint32_t u = 0; u < task->count; u++) {
			const struct use *use = &stream.use[task->first + u];

			uses[u].handle = handles[use->handle];
			uses[u].mode = use->writes ? STARPU_RW : STARPU_R;
		}
		if (starpu_task_insert(&codelet, STARPU_DATA_MODE_ARRAY, uses,
				       (int)task->count, STARPU_CL_ARGS_NFREE,
				       &arguments[t], sizeof(arguments[t]), 0))
			stream_die("StarPU refuses a task");
	}
	submitted = stream_now();
	starpu_task_wait_for_all();
	ended = stream_now();
	stream_report(begun, submitted, ended);
	/* Unregistering and shutting down is nobody's business here. */
	fflush(stdout);
	_exit(0);
}

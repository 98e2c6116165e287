// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The stream as a TBB flow graph. It has no notion of data: the edges are found
 * here, by the last writer of each handle and its readers since, which counts as
 * submitting.
 */
#include <deque>
#include <vector>

#include <oneapi/tbb/flow_graph.h>
#include <oneapi/tbb/global_control.h>

#include "stream.h"

using node = tbb::flow::continue_node<tbb::flow::continue_msg>;

struct history {
	node *writer = nullptr;
	std::vector<node *> readers;
};

int main(int argc, char **argv)
{
	const stream stream = stream_read(argc, argv);
	tbb::global_control limit(tbb::global_control::max_allowed_parallelism, stream.workers);
	std::vector<history> handles(stream.handles);
	std::deque<node> nodes;
	std::vector<node *> roots;
	std::vector<node *> before;
	tbb::flow::graph graph;

	const uint64_t begun = stream_now();
	for (uint32_t t = 0; t < stream.tasks; t++) {
		const task *task = &stream.task[t];
		nodes.emplace_back(graph, [&stream, task](const tbb::flow::continue_msg &) {
			stream_work(&stream, task);
		});
		node &own = nodes.back();
		before.clear();
		for (uint32_t u = 0; u < task->count; u++) {
			const use *use = &stream.use[task->first + u];
			history &past = handles[use->handle];
			if (past.writer)
				before.push_back(past.writer);
			if (use->writes)
				before.insert(before.end(), past.readers.begin(), past.readers.end());
		}
		for (uint32_t u = 0; u < task->count; u++) {
			const use *use = &stream.use[task->first + u];
			history &past = handles[use->handle];
			if (use->writes) {
				past.writer = &own;
				past.readers.clear();
			} else {
				past.readers.push_back(&own);
			}
		}
		bool waits = false;
		for (node *other : before) {
			if (other == &own)
				continue;
			tbb::flow::make_edge(*other, own);
			waits = true;
		}
		if (!waits)
			roots.push_back(&own);
	}
	const uint64_t submitted = stream_now();
	for (node *root : roots)
		root->try_put(tbb::flow::continue_msg());
	graph.wait_for_all();
	const uint64_t ended = stream_now();
	stream_report(begun, submitted, ended);
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0 */
/* What the host tests share: a check that says where it failed, and a runner. */
#ifndef AUGUR_TEST_H
#define AUGUR_TEST_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition) do { \
	if (!(condition)) { \
		fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
		exit(1); \
	} \
} while (0)

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

#define RUN(test) do { \
	test(); \
	printf("ok %s\n", #test); \
} while (0)

#endif

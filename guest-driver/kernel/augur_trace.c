// SPDX-License-Identifier: GPL-2.0
/*
 * The code of the tracepoints.
 */
#include "augur_window_table.h"

#define CREATE_TRACE_POINTS
#include "augur_trace.h"

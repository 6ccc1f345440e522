/* Several threads on one proof. The threads are the caller's: this file starts none.
 *
 * A team belongs to one proof at a time. The thread that proves publishes its phases as numbered tasks; threads that entered
 * aprover_help take tasks too, and may leave between any two. Each thread in the team has a lane, a small number that names its
 * own scratch memory; the proving thread's is 0.
 */
#ifndef APROVER_PARALLEL_H
#define APROVER_PARALLEL_H

#include "aprover.h"

#define APR_MAX_LANES 16

/* One task; any status but APROVER_OK ends the phase early. */
typedef aprover_status (*apr_task)(void *context, size_t index, uint32_t lane);

/* Run tasks 0 .. count - 1, in any order, and wait for all. team: NULL runs them here, in order.
 *
 * A helper leaves only between tasks, and others wait for it: so no task may take longer than half a millisecond, whatever the size of
 * the proof. tests/c/bench_tasks.c measures them. */
#define apr_parallel(team, task, context, count) apr_parallel_named(team, #task, task, context, count)
aprover_status apr_parallel_named(aprover_team *team, const char *name, apr_task task, void *context, size_t count);
/* For tests and benchmarks: have this called before and after each task, by the thread that runs it. No proof may be under way. */
typedef void (*apr_watch)(void *context, const char *task, int begins);
void apr_team_watch(aprover_team *team, apr_watch watch, void *context);
/* How many lanes the team has; 1 for NULL. */
uint32_t apr_lanes(const aprover_team *team);

#endif

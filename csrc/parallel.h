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

/* Run tasks 0 .. count - 1, in any order, and wait for all. team: NULL runs them here, in order. */
aprover_status apr_parallel(aprover_team *team, apr_task task, void *context, size_t count);
/* How many lanes the team has; 1 for NULL. */
uint32_t apr_lanes(const aprover_team *team);

#endif

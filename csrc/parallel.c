/* See parallel.h. */
#ifdef __linux__
#define _GNU_SOURCE /* which processor a thread runs on, and which it may use */
#endif
#include "parallel.h"

#include <pthread.h>
#include <sched.h>
#include <time.h>

struct aprover_team {
    pthread_mutex_t lock;
    pthread_cond_t work; /* a phase was published, or the team was closed */
    pthread_cond_t idle; /* no helper is in a task, or none is in the team */
    apr_task task;       /* of the phase under way, or NULL */
    void *context;
    const char *name;    /* of the task */
    apr_watch watch;     /* or NULL */
    void *watcher;
    size_t count;
    size_t next;         /* the next task to be taken; atomic */
    int32_t status;      /* the first failure of the phase; atomic */
    uint32_t lanes;
    uint32_t taken;      /* a bit for each lane in use */
    uint32_t inside;     /* helpers in aprover_help */
    uint32_t active;     /* helpers in a task */
    int processor;       /* where the proving thread was at the beginning of the phase, or -1 */
    const int32_t *give_way;
    int closed;
};

enum { POLL_NANOSECONDS = 200000 }; /* how soon a waiting helper sees its leave flag */

/* A helper is woken many times in a proof. On a processor that is busy with the proving thread it would be of no use, and yet Linux
 * leaves it there while another is idle, for as long as they are busy on average: it does not look for an idle one then. So a helper
 * that finds itself there does without that processor until it leaves. The proving thread may go anywhere. */
#ifdef __linux__
typedef struct {
    cpu_set_t before; /* what the helper may use, if it has moved */
    int moved;
    int avoided;      /* the processor, or -1 */
} place;

static int processor(void) { return sched_getcpu(); }

static void keep_off(place *place, int busy) {
    if (busy < 0 || busy == place->avoided || sched_getcpu() != busy) return;
    place->avoided = busy;
    if (!place->moved && sched_getaffinity(0, sizeof place->before, &place->before) != 0) return;
    cpu_set_t others = place->before;
    CPU_CLR(busy, &others);
    if (CPU_COUNT(&others) > 0 && sched_setaffinity(0, sizeof others, &others) == 0) place->moved = 1;
}

static void move_back(const place *place) {
    if (place->moved) sched_setaffinity(0, sizeof place->before, &place->before);
}
#else
typedef struct {
    int avoided;
} place;

static int processor(void) { return -1; }
static void keep_off(place *place, int busy) { (void)place, (void)busy; }
static void move_back(const place *place) { (void)place; }
#endif

size_t aprover_team_memory(void) { return sizeof(aprover_team); }

aprover_status aprover_team_init(aprover_team *team, uint32_t lanes, const int32_t *give_way) {
    if (team == NULL || lanes < 1 || lanes > APR_MAX_LANES) return APROVER_ERROR_ARGUMENT;
    *team = (aprover_team){.lanes = lanes, .taken = 1, .processor = -1, .give_way = give_way};
    if (pthread_mutex_init(&team->lock, NULL) != 0) return APROVER_ERROR_MEMORY;
    if (pthread_cond_init(&team->work, NULL) == 0) {
        if (pthread_cond_init(&team->idle, NULL) == 0) return APROVER_OK;
        pthread_cond_destroy(&team->work);
    }
    pthread_mutex_destroy(&team->lock);
    return APROVER_ERROR_MEMORY;
}

void aprover_team_close(aprover_team *team) {
    pthread_mutex_lock(&team->lock);
    team->closed = 1;
    pthread_cond_broadcast(&team->work);
    while (team->inside > 0) pthread_cond_wait(&team->idle, &team->lock);
    pthread_mutex_unlock(&team->lock);
}

void aprover_team_destroy(aprover_team *team) {
    pthread_cond_destroy(&team->idle);
    pthread_cond_destroy(&team->work);
    pthread_mutex_destroy(&team->lock);
}

static int flag_is_set(const int32_t *flag) { return flag != NULL && __atomic_load_n(flag, __ATOMIC_RELAXED) != 0; }

static void run_tasks(aprover_team *team, uint32_t lane, const int32_t *leave) {
    while (!flag_is_set(leave)) {
        const size_t index = __atomic_fetch_add(&team->next, 1, __ATOMIC_RELAXED);
        if (index >= team->count) return;
        if (team->watch != NULL) team->watch(team->watcher, team->name, 1);
        const aprover_status status = team->task(team->context, index, lane);
        if (team->watch != NULL) team->watch(team->watcher, team->name, 0);
        if (flag_is_set(team->give_way)) sched_yield();
        if (status != APROVER_OK) {
            __atomic_store_n(&team->status, (int32_t)status, __ATOMIC_RELAXED);
            __atomic_store_n(&team->next, team->count, __ATOMIC_RELAXED);
        }
    }
}

static void wait_for_work(aprover_team *team) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until); /* the clock of pthread_cond_timedwait; a jump costs one early or late look */
    until.tv_nsec += POLL_NANOSECONDS;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_cond_timedwait(&team->work, &team->lock, &until);
}

void aprover_help(aprover_team *team, const int32_t *leave) {
    place here = {.avoided = -1};
    pthread_mutex_lock(&team->lock);
    uint32_t lane = 1;
    while (lane < team->lanes && team->taken >> lane & 1) lane++;
    if (lane < team->lanes && !team->closed) {
        team->taken |= 1u << lane;
        team->inside++;
        while (!team->closed && !flag_is_set(leave)) {
            if (team->task == NULL || __atomic_load_n(&team->next, __ATOMIC_RELAXED) >= team->count) {
                wait_for_work(team);
                continue;
            }
            team->active++;
            const int busy = team->processor;
            pthread_mutex_unlock(&team->lock);
            keep_off(&here, busy);
            run_tasks(team, lane, leave);
            pthread_mutex_lock(&team->lock);
            if (--team->active == 0) pthread_cond_broadcast(&team->idle);
        }
        team->taken &= ~(1u << lane);
        if (--team->inside == 0) pthread_cond_broadcast(&team->idle);
    }
    pthread_mutex_unlock(&team->lock);
    move_back(&here);
}

uint32_t apr_lanes(const aprover_team *team) { return team == NULL ? 1 : team->lanes; }

void apr_team_watch(aprover_team *team, apr_watch watch, void *context) {
    team->watch = watch;
    team->watcher = context;
}

aprover_status apr_parallel_named(aprover_team *team, const char *name, apr_task task, void *context, size_t count) {
    if (team == NULL || (count < 2 && team->watch == NULL)) {
        aprover_status status = APROVER_OK;
        for (size_t i = 0; i < count && status == APROVER_OK; i++) status = task(context, i, 0);
        return status;
    }
    pthread_mutex_lock(&team->lock);
    team->task = task;
    team->name = name;
    team->context = context;
    team->count = count;
    team->processor = processor();
    __atomic_store_n(&team->next, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&team->status, APROVER_OK, __ATOMIC_RELAXED);
    if (team->inside > 0) pthread_cond_broadcast(&team->work);
    pthread_mutex_unlock(&team->lock);
    run_tasks(team, 0, NULL);
    /* Helpers' writes are visible after this lock. */
    pthread_mutex_lock(&team->lock);
    while (team->active > 0) pthread_cond_wait(&team->idle, &team->lock);
    team->task = NULL;
    const aprover_status status = (aprover_status)team->status;
    pthread_mutex_unlock(&team->lock);
    return status;
}

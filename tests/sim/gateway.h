/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gateway: the real engine in a loop like the real one. A turn takes what
 * arrived, feeds it to the engine and gathers the records in the open group;
 * answers, assignments and events hang on that group and are released when it
 * is committed. A few groups are on their way at once.
 *
 * Beside it runs the shadow: a second engine that only ever applies committed
 * records. Its state must equal the live one's at every commit.
 */
#ifndef REDIAL_TESTS_SIM_GATEWAY_H
#define REDIAL_TESTS_SIM_GATEWAY_H

#include "server/base/list.h"
#include "server/core/engine.h"
#include "tests/sim/disk.h"
#include "tests/sim/message.h"
#include "tests/sim/net.h"

struct sim;

enum { GATEWAY_PIPE_MAX = 4 };

struct gateway_group {
    struct disk_group disk;
    struct list releases; /* messages, by their inbox link */
    int64_t done_at_ms;
};

/* What the gateway's net layer knows of one connection. */
struct session {
    uint32_t connection;
    uint64_t worker; /* after Hello; 0: none */
};

struct gateway {
    bool up;
    bool draining;
    uint32_t incarnation;
    uint64_t published; /* last seq that watchers heard of */
    uint32_t policy_version;
    struct policy_set *policy;
    void *memory;
    struct engine *engine;
    struct engine_outbox outbox;
    int64_t mono_shift;  /* its clock against the world's */
    int64_t woken_at_ms; /* repeated wakes at one time, see gateway.c */
    uint32_t woken_count;

    struct happening_event turn;
    struct happening_event commit;
    struct list inbox;
    uint32_t inbox_count;
    struct session sessions[NET_PEERS_MAX];

    struct gateway_group groups[GATEWAY_PIPE_MAX + 1];
    uint32_t open; /* index of the open group; those before it are on the way */
    uint32_t in_pipe;
    int64_t last_done_ms;

    uint64_t dirty[PLAN_JOBS_MAX]; /* first seq not in its row; 0: clean */
    uint64_t dirty_targets[LEDGER_TARGETS_MAX]; /* the same of targets */
    uint32_t slot_of[PLAN_JOBS_MAX];
    uint32_t *slots; /* spec + 1 by slot; 0: free */

    void *shadow_memory;
    struct engine *shadow;
};

void
gateway_init(struct sim *sim);

void
gateway_fini(struct sim *sim);

/* Builds an engine from the disk and recovers. */
void
gateway_start(struct sim *sim);

/* kill -9: some of the groups on their way make it to the disk. */
void
gateway_crash(struct sim *sim);

/* Accepts nothing and starts nothing from now on. */
void
gateway_drain(struct sim *sim);

/* The clean end: everything is committed and said first. */
void
gateway_stop(struct sim *sim);

/* Another policy takes effect. */
void
gateway_reload(struct sim *sim);

/* Notes events of the gateway itself, as for a full disk. */
void
gateway_degrade(struct sim *sim);

/* Forgets some finished jobs and their keys. */
void
gateway_trim(struct sim *sim);

/* The message waits for the next turn. Takes it over. */
void
gateway_receive(struct sim *sim, struct message *message);

/* One turn of the loop. */
void
gateway_turn(struct sim *sim);

/* The oldest group is on disk. */
void
gateway_committed(struct sim *sim);

/* True when nothing waits: no inbox, no group with anything in it. */
bool
gateway_is_idle(const struct sim *sim);

/* Its clocks. */
struct now
gateway_now(const struct sim *sim);

/* ---- Between gateway*.c ------------------------------------------------ */

/* Feeds one input to the engine, judges and gathers what came of it. */
void
gateway_step(struct sim *sim, const struct engine_input *input,
             const struct message *message);

/* Judges and gathers what the engine put into the outbox. */
void
gateway_gather(struct sim *sim, const struct engine_input *input,
               const struct message *message);

/* Makes inputs of a message, and answers of what they come to. */
void
gateway_take(struct sim *sim, struct message *message);

/* Hangs a message on the open group. Takes it over. */
void
gateway_release_later(struct sim *sim, struct message *message);

/* Closes the open group and sends it on its way, if it has anything. */
void
gateway_close_group(struct sim *sim);

/* Puts the oldest group on the disk and shows it to the shadow. */
void
gateway_commit_oldest(struct sim *sim);

/* Lets go of the oldest group with all that hangs on it; of all of them. */
void
gateway_drop_oldest(struct sim *sim);

void
gateway_drop_groups(struct sim *sim);

/* An empty open group. */
void
gateway_open_group(struct sim *sim);

/* Watchers hear of what is committed and new to them. */
void
gateway_publish(struct sim *sim);

/* Sets when the loop turns next. */
void
gateway_schedule(struct sim *sim);

#endif

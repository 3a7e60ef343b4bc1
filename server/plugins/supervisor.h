/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps the gateway's plugins running: one redial-plugin-host process each,
 * started again when it ends, and everything of it killed when it is gone.
 *
 * No thread and no clock of its own: the owner calls supervisor_step() when
 * supervisor_next_wake() has come, reports each child that it has reaped, and
 * fetches events. All functions belong to the thread that made the supervisor,
 * which must live as long as the process: the kernel kills the hosts when that
 * thread ends. None of them waits, except that starting a host takes until its
 * program is executed. Who owns it is a child subreaper, reaps all children by
 * itself and is not surprised by unknown ones: those of a dead host come to it.
 *
 * Restarts: after 100 ms, doubled with each failure up to 30 s, times a factor
 * from 0.8 to 1.2; from the beginning again after 10 s of life. The first start
 * is immediate.
 *
 * What a host tells about its process groups (groups.h) is kept, so that they
 * can be killed when it dies. Hosts get their configuration through a sealed
 * file in memory, so that it shows in no process list.
 */
#ifndef REDIAL_SERVER_PLUGINS_SUPERVISOR_H
#define REDIAL_SERVER_PLUGINS_SUPERVISOR_H

#include "server/base/clock.h"
#include <redial/status.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    SUPERVISOR_NAME_BYTES = 129,
    SUPERVISOR_INSTANCE_BYTES = 33, /* 32 hexadecimal digits */
    SUPERVISOR_SLOTS_MAX = 256,     /* of one plugin */
    SUPERVISOR_BACKOFF_FIRST_MS = 100,
    SUPERVISOR_BACKOFF_MAX_MS = 30000,
    SUPERVISOR_HEALTHY_MS = 10000,
};

struct supervisor;

struct supervisor_options {
    const char *host_path;  /* the program redial-plugin-host */
    const char *address;    /* where hosts dial: the workers' listener */
    const char *plugin_dir; /* of built-in plugins; NULL: the host's default */
    const char *token_file; /* the hosts' credential; NULL: none */
    uint32_t plugins_max;   /* 1 to 1,024 */
    uint64_t seed;          /* random: of instance ids and jitter */
};

/* What a plugin does: attempts of a method (NULL: of all) of a service. */
struct supervisor_slot {
    const char *service;
    const char *method;
    uint32_t concurrency;
};

/* All of it is copied. */
struct supervisor_plugin {
    const char *name;   /* of the worker; unique */
    const char *plugin; /* "exec", "http", "fault", or the path of a file */
    const char *config; /* JSON text for the plugin; NULL: {} */
    const struct supervisor_slot *slots;
    size_t slot_count;
    uint32_t concurrency; /* in total; 0: the sum over the slots */
};

/* Makes a supervisor of nothing. NULL without memory. */
struct supervisor *
supervisor_new(const struct supervisor_options *options);

/* Kills and frees everything. What is still a child is the owner's to reap. */
void
supervisor_free(struct supervisor *supervisor);

/*
 * Adds a plugin, which the next step starts. ALREADY_EXISTS (the name, also
 * while one of that name is being removed), RESOURCE_EXHAUSTED, or
 * INVALID_ARGUMENT (too many slots, a name that is too long).
 */
enum redial_status
supervisor_add(struct supervisor *supervisor,
               const struct supervisor_plugin *plugin);

/*
 * Ends a plugin: its host drains, is killed `grace_ms` later, and is forgotten
 * when its last event has been taken. NOT_FOUND.
 */
enum redial_status
supervisor_remove(struct supervisor *supervisor, struct mono now,
                  const char *name, uint32_t grace_ms);

/* The same for all, and nothing is started any more. May be called again. */
void
supervisor_stop(struct supervisor *supervisor, struct mono now,
                uint32_t grace_ms);

/* Starts and kills what is due, takes in what hosts report. */
void
supervisor_step(struct supervisor *supervisor, struct mono now);

/*
 * When to step next; MONO_NEVER if nothing waits for a time. While hosts run
 * that is a second from the last step at the latest.
 */
struct mono
supervisor_next_wake(const struct supervisor *supervisor);

/*
 * Tells that the owner has reaped a child with this wait status. True if it was
 * a host: its groups have been killed and there is an event.
 */
bool
supervisor_reaped(struct supervisor *supervisor, struct mono now, pid_t pid,
                  int wait_status);

/* True when no host is running. */
bool
supervisor_is_idle(const struct supervisor *supervisor);

enum supervisor_event_type {
    SUPERVISOR_STARTED, /* pid, instance */
    SUPERVISOR_FAILED,  /* error, restart_ms: could not be started */
    SUPERVISOR_DIED,    /* pid, instance, wait_status, restart_ms */
};

struct supervisor_event {
    enum supervisor_event_type type;
    char name[SUPERVISOR_NAME_BYTES];
    char instance[SUPERVISOR_INSTANCE_BYTES]; /* as in the worker's Hello */
    pid_t pid;
    int wait_status;
    int error;          /* errno value */
    int64_t restart_ms; /* until the next start; -1: none, it was to end */
    uint64_t starts;    /* of this plugin so far */
};

/*
 * Takes the oldest event of some plugin. There are at most two for each, and a
 * plugin is not started again before its death has been taken.
 */
bool
supervisor_take_event(struct supervisor *supervisor,
                      struct supervisor_event *ret_event);

#endif

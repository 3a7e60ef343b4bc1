/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One program that runs one attempt: started, fed, read, stopped, reaped. All
 * functions belong to one thread, which lives as long as any run (see spawn.h),
 * and none of them waits. That thread watches four descriptors of each run with
 * epoll and tells the run which one has something.
 */
#ifndef REDIAL_SERVER_PLUGINS_EXEC_EXEC_RUN_H
#define REDIAL_SERVER_PLUGINS_EXEC_EXEC_RUN_H

#include "server/base/bytes.h"
#include "server/base/list.h"
#include "server/plugins/exec/exec_config.h"
#include "server/plugins/exec/exec_notes.h"
#include <redial/plugin.h>

#include <sys/types.h>

enum exec_end { EXEC_STDIN, EXEC_STDOUT, EXEC_STDERR, EXEC_EXIT };
enum { EXEC_END_COUNT = EXEC_EXIT + 1 };

struct exec_run;

/* What an epoll event points to. */
struct exec_watch {
    struct exec_run *run;
    enum exec_end end;
    int fd; /* -1: closed */
};

struct exec_run {
    struct list link; /* the thread's */
    const struct exec_config *config;
    const struct redial_plugin_host *host;
    struct redial_plugin_call call;
    const struct redial_plugin_attempt *attempt;
    struct exec_watch watches[EXEC_END_COUNT];
    pid_t pid;   /* also its process group; 0: not started */
    size_t sent; /* bytes of the payload */
    struct bytes output;
    struct exec_notes notes;
    bool is_stopping;
    bool is_too_large; /* more output than allowed */
    bool is_done;      /* completed: free it */
    enum redial_plugin_stop why;
    bool must_poll;     /* there is no descriptor for its exit */
    int64_t kill_at_ms; /* monotonic; INT64_MAX: no */
};

/* Makes a run that has not been started. NULL without memory. */
struct exec_run *
exec_run_new(const struct exec_config *config,
             const struct redial_plugin_host *host,
             struct redial_plugin_call call,
             const struct redial_plugin_attempt *attempt);

/*
 * Starts the program and adds its descriptors to `epoll_fd`. If that fails the
 * attempt has been completed, and the run is done.
 */
void
exec_run_start(struct exec_run *run, int epoll_fd);

/* Goes on where an event says that something is to be done. */
void
exec_run_handle(struct exec_watch *watch);

/* Asks it to stop; kills it at once unless there is a grace time. */
void
exec_run_stop(struct exec_run *run, enum redial_plugin_stop why,
              int64_t now_ms);

/*
 * Kills it when its grace time is over; looks whether it has exited where the
 * kernel does not tell. Returns when to do that again, INT64_MAX: no need.
 */
int64_t
exec_run_tick(struct exec_run *run, int64_t now_ms);

/* Frees a run that is done or was never started. */
void
exec_run_free(struct exec_run *run);

#endif

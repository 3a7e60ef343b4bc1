/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts one redial-plugin-host with its command line and its descriptors: the
 * configuration as a sealed file in memory, and the pipe on which it reports
 * process groups (groups.h). See spawn.h for what it inherits and when it dies.
 */
#ifndef REDIAL_SERVER_PLUGINS_HOST_PROCESS_H
#define REDIAL_SERVER_PLUGINS_HOST_PROCESS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* "service/method=concurrency", the value of --slot. */
struct host_slot_word {
    char text[300];
};

enum { HOST_SLOT_WORDS_MAX = 256 };

struct host_process {
    const char *path; /* of the program */
    const char *address;
    const char *plugin_dir; /* NULL: its default */
    const char *token_file; /* NULL: none */
    const char *plugin;
    const char *name;
    const char *instance;
    const char *config; /* JSON */
    const struct host_slot_word *slots;
    size_t slot_count;
    uint32_t concurrency; /* 0: the sum over the slots */
};

/*
 * Returns 0, or an errno value that tells why it could not be started.
 * *ret_groups_fd is the reading end of its pipe, which does not block.
 */
int
host_process_start(const struct host_process *process, pid_t *ret_pid,
                   int *ret_groups_fd);

#endif

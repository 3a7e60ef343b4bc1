/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of redial-plugin-host, and what its exit codes say.
 */
#ifndef REDIAL_SERVER_PLUGINS_HOST_HOST_OPTIONS_H
#define REDIAL_SERVER_PLUGINS_HOST_HOST_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HOST_SLOTS_MAX = 256, /* as libredial */
    HOST_CONCURRENCY_MAX = 10000,
};

enum host_exit {
    HOST_EXIT_DONE = 0,     /* drained, or only asked for help */
    HOST_EXIT_USAGE = 64,   /* the command line is wrong */
    HOST_EXIT_REFUSED = 69, /* the gateway refuses this worker for good */
    HOST_EXIT_FAILED = 70,  /* something that should work did not */
    HOST_EXIT_CONFIG = 78,  /* the plugin cannot be loaded or opened */
    HOST_EXIT_SIGNAL = 143, /* told twice to end */
};

struct host_slot {
    char service[129];
    char method[129]; /* "": all */
    uint32_t concurrency;
};

/* Texts point into the command line. */
struct host_options {
    const char *plugin;
    const char *plugin_dir; /* NULL: beside the program */
    const char *address;
    const char *token_file;
    const char *tls_ca_file;
    const char *tls_server_name;
    const char *tls_cert_key_file;
    const char *name;
    const char *instance; /* NULL: a random one */
    const char *config_file;
    int config_fd;        /* -1: none */
    int groups_fd;        /* -1: none */
    long parent_pid;      /* 0: anybody */
    uint32_t concurrency; /* in total */
    struct host_slot slots[HOST_SLOTS_MAX];
    uint32_t slot_count;
    bool is_guard;
    bool is_help;
};

/*
 * Reads the command line. On false `error` says what is wrong with it.
 */
bool
host_options_read(int argc, char **argv, struct host_options *ret_options,
                  char *error, size_t error_size);

/* What --help prints. */
extern const char host_usage[];

#endif

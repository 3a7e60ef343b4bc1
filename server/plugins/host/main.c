/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redial-plugin-host: runs one plugin as a worker. The gateway's supervisor
 * starts one of these for each configured plugin; it speaks the ordinary worker
 * protocol, through libredial, like any other worker.
 *
 * Threads: main (opens, waits, closes), control, libredial's, the plugin's.
 *
 * Nothing outlives its parent: this process asks the kernel to be killed when
 * the gateway dies; what the plugin starts asks the same for when this process
 * dies (spawn.h); and the groups of all that are known to the supervisor and to
 * a guard (guard.h), which kill them when this process is gone.
 */
#include "server/plugins/groups.h"
#include "server/plugins/host/calls.h"
#include "server/plugins/host/control.h"
#include "server/plugins/host/guard.h"
#include "server/plugins/host/host_log.h"
#include "server/plugins/host/host_options.h"
#include "server/plugins/host/plugin_file.h"
#include <redial/plugin.h>
#include <redial/worker.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum {
    CONFIG_BYTES_MAX = 1048576,
    TOKEN_BYTES_MAX = 4096,
    ERROR_BYTES = 2048,
};

struct host {
    struct host_options options;
    char *config;
    char *token;
    struct control control;
    struct guard guard;
    bool has_guard;
    struct calls *calls;
    const struct redial_plugin *plugin;
    void *state;
    bool is_open;
    redial_worker *worker;
};

/* From the main thread, which lives as long as the process. */
static void
die_with_parent(long parent_pid)
{
    if (parent_pid == 0) {
        return;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent_pid) {
        _exit(HOST_EXIT_FAILED); /* it died before that */
    }
}

/* Reads it to the end; NULL and errno. Closes it. */
static char *
read_all(int fd, size_t bytes_max)
{
    char *text = fd < 0 ? NULL : malloc(bytes_max + 1);
    size_t len = 0;
    ssize_t part = 1;
    while (text != NULL && part != 0 && len <= bytes_max) {
        part = read(fd, text + len, bytes_max + 1 - len);
        if (part < 0 && errno != EINTR) {
            free(text);
            text = NULL;
        }
        len += part > 0 ? (size_t)part : 0;
    }
    if (fd >= 0) {
        close(fd);
    }
    if (text != NULL && (len > bytes_max || memchr(text, '\0', len) != NULL)) {
        free(text);
        errno = len > bytes_max ? EFBIG : EINVAL;
        return NULL;
    }
    if (text != NULL) {
        text[len] = '\0';
    }
    return text;
}

static char *
read_file(const char *path, size_t bytes_max)
{
    return read_all(open(path, O_RDONLY | O_CLOEXEC), bytes_max);
}

static int
fail(enum host_log_id id, enum host_exit exit_code, const char *detail)
{
    host_log(id, detail);
    return (int)exit_code;
}

static int
read_inputs(struct host *host)
{
    const struct host_options *options = &host->options;
    char text[ERROR_BYTES];
    if (options->config_fd >= 0) {
        host->config = read_all(options->config_fd, CONFIG_BYTES_MAX);
    } else if (options->config_file != NULL) {
        host->config = read_file(options->config_file, CONFIG_BYTES_MAX);
    } else {
        host->config = strdup("{}");
    }
    if (host->config == NULL) {
        snprintf(text, sizeof(text), "%s: %s",
                 options->config_file == NULL ? "--config-fd"
                                              : options->config_file,
                 strerror(errno));
        return fail(HOST_LOG_CONFIG_UNREADABLE, HOST_EXIT_CONFIG, text);
    }
    if (options->token_file != NULL) {
        host->token = read_file(options->token_file, TOKEN_BYTES_MAX);
        if (host->token == NULL) {
            snprintf(text, sizeof(text), "%s: %s", options->token_file,
                     strerror(errno));
            return fail(HOST_LOG_CONFIG_UNREADABLE, HOST_EXIT_CONFIG, text);
        }
        host->token[strcspn(host->token, "\r\n")] = '\0';
    }
    return 0;
}

static uint32_t
total_concurrency(const struct host_options *options)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < options->slot_count; i++) {
        sum += options->slots[i].concurrency;
    }
    if (options->concurrency > 0) {
        sum = options->concurrency;
    }
    return sum == 0                     ? 1
           : sum > HOST_CONCURRENCY_MAX ? HOST_CONCURRENCY_MAX
                                        : (uint32_t)sum;
}

static int
open_plugin(struct host *host)
{
    const struct host_options *options = &host->options;
    char error[ERROR_BYTES] = "";
    if (!plugin_file_load(options->plugin, options->plugin_dir, &host->plugin,
                          error, sizeof(error))) {
        return fail(HOST_LOG_REFUSED, HOST_EXIT_CONFIG, error);
    }
    if ((host->plugin->flags & REDIAL_PLUGIN_STARTS_PROCESSES) != 0) {
        int number = guard_start(&host->guard);
        host->has_guard = number == 0;
        if (number != 0) {
            return fail(HOST_LOG_GUARD_FAILED, HOST_EXIT_FAILED,
                        strerror(number));
        }
    }
    struct calls_options calls_options = {
        .concurrency = total_concurrency(options),
        .groups_fd = options->groups_fd,
        .guard_fd = host->has_guard ? host->guard.fd : -1,
        .wake_fd = host->control.wake_fd,
    };
    host->calls = calls_new(&calls_options);
    if (host->calls == NULL) {
        return fail(HOST_LOG_REFUSED, HOST_EXIT_FAILED, "out of memory");
    }
    struct redial_plugin_options plugin_options = {
        .struct_size = sizeof(plugin_options),
        .concurrency = calls_options.concurrency,
        .worker_name = options->name,
        .config = host->config,
        .config_bytes = strlen(host->config),
        .host = calls_host(host->calls),
    };
    if (host->plugin->open(&plugin_options, error, sizeof(error),
                           &host->state) != REDIAL_OK) {
        error[sizeof(error) - 1] = '\0';
        return fail(HOST_LOG_REFUSED, HOST_EXIT_CONFIG, error);
    }
    host->is_open = true;
    calls_set_plugin(host->calls, host->plugin, host->state);
    host_log(HOST_LOG_OPENED, host->plugin->name);
    return 0;
}

static int
open_worker(struct host *host)
{
    const struct host_options *options = &host->options;
    struct redial_worker_method methods[HOST_SLOTS_MAX];
    memset(methods, 0, sizeof(methods));
    for (uint32_t i = 0; i < options->slot_count; i++) {
        const struct host_slot *slot = &options->slots[i];
        methods[i] = (struct redial_worker_method){
            .service = slot->service,
            .method = slot->method[0] == '\0' ? NULL : slot->method,
            .concurrency = slot->concurrency,
            .handler = calls_run,
            .cancel = calls_stop,
            .ctx = host->calls,
            .is_async = (host->plugin->flags & REDIAL_PLUGIN_ASYNCHRONOUS) != 0,
        };
    }
    struct redial_worker_options worker_options = {
        .struct_size = sizeof(worker_options),
        .connection =
            {
                .addresses = options->address,
                .tls_ca_file = options->tls_ca_file,
                .tls_server_name = options->tls_server_name,
                .tls_cert_key_file = options->tls_cert_key_file,
                .token = host->token,
            },
        .name = options->name,
        .instance = options->instance,
        .version = host->plugin->version,
        .methods = methods,
        .method_count = options->slot_count,
        .concurrency = total_concurrency(options),
    };
    struct redial_error error;
    if (redial_worker_open(&worker_options, &host->worker, &error) !=
        REDIAL_OK) {
        return fail(HOST_LOG_WORKER_FAILED, HOST_EXIT_CONFIG, error.text);
    }
    int number = control_start(&host->control, host->calls, host->worker);
    if (number != 0) {
        return fail(HOST_LOG_WORKER_FAILED, HOST_EXIT_FAILED, strerror(number));
    }
    return 0;
}

/* Until everything is done, or the gateway does not want us. */
static int
work(struct host *host)
{
    struct redial_error error;
    enum redial_status status = REDIAL_DEADLINE_EXCEEDED;
    while (status == REDIAL_DEADLINE_EXCEEDED) {
        status = redial_worker_wait(host->worker, redial_never(), &error);
    }
    if (status != REDIAL_OK) {
        char text[ERROR_BYTES];
        snprintf(text, sizeof(text), "%s: %s", redial_status_name(status),
                 error.text);
        return fail(HOST_LOG_GATEWAY_REFUSES, HOST_EXIT_REFUSED, text);
    }
    host_log(HOST_LOG_ENDED, NULL);
    return HOST_EXIT_DONE;
}

/* The control thread is needed until the last attempt has been completed. */
static void
close_host(struct host *host)
{
    redial_worker_close(host->worker);
    control_fini(&host->control);
    if (host->is_open) {
        host->plugin->close(host->state);
    }
    calls_free(host->calls);
    if (host->has_guard) {
        guard_stop(&host->guard);
    }
    free(host->config);
    free(host->token);
}

static int
run(struct host *host)
{
    int exit_code = HOST_EXIT_FAILED;
    if (!control_init(&host->control)) {
        host_log(HOST_LOG_WORKER_FAILED, strerror(errno));
        return exit_code;
    }
    exit_code = read_inputs(host);
    if (exit_code == 0) {
        exit_code = open_plugin(host);
    }
    if (exit_code == 0) {
        exit_code = open_worker(host);
    }
    if (exit_code == 0) {
        exit_code = work(host);
    }
    close_host(host);
    return exit_code;
}

/* What a plugin prints belongs to nobody. */
static void
discard_output(void)
{
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)dup2(fd, STDOUT_FILENO);
        close(fd);
    }
}

static void
keep_to_ourselves(int fd)
{
    if (fd >= 0) {
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
}

int
main(int argc, char **argv)
{
    static struct host host;
    char error[ERROR_BYTES];
    if (!host_options_read(argc, argv, &host.options, error, sizeof(error))) {
        fprintf(stderr, "redial-plugin-host: %s\n%s", error, host_usage);
        return HOST_EXIT_USAGE;
    }
    if (host.options.is_guard) {
        return guard_run();
    }
    if (host.options.is_help) {
        fputs(host_usage, stdout);
        return HOST_EXIT_DONE;
    }
    die_with_parent(host.options.parent_pid);
    discard_output();
    keep_to_ourselves(host.options.config_fd);
    keep_to_ourselves(host.options.groups_fd);
    host_log_init(host.options.name);
    return run(&host);
}

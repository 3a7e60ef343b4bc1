/* SPDX-License-Identifier: Apache-2.0 */
#include "server/plugins/host_process.h"

#include "server/base/check.h"
#include "server/plugins/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    GROUPS_PIPE_BYTES = 1048576,
    WORDS_MAX = 24 + 2 * HOST_SLOT_WORDS_MAX,
};

/* The command line of a host. Numbers are kept in `numbers`. */
struct words {
    const char *at[WORDS_MAX + 1];
    size_t count;
    char parent[16];
    char concurrency[16];
};

static void
add_option(struct words *words, const char *option, const char *value)
{
    if (value != NULL) {
        redial_assert(words->count + 2 <= WORDS_MAX);
        words->at[words->count++] = option;
        words->at[words->count++] = value;
    }
}

static void
make_words(const struct host_process *process, struct words *words)
{
    memset(words, 0, sizeof(*words));
    words->at[words->count++] = process->path;
    add_option(words, "--plugin", process->plugin);
    add_option(words, "--plugin-dir", process->plugin_dir);
    add_option(words, "--address", process->address);
    add_option(words, "--token-file", process->token_file);
    add_option(words, "--name", process->name);
    add_option(words, "--instance", process->instance);
    add_option(words, "--config-fd", "3");
    add_option(words, "--groups-fd", "4");
    snprintf(words->parent, sizeof(words->parent), "%ld", (long)getpid());
    add_option(words, "--parent-pid", words->parent);
    if (process->concurrency > 0) {
        snprintf(words->concurrency, sizeof(words->concurrency), "%" PRIu32,
                 process->concurrency);
        add_option(words, "--concurrency", words->concurrency);
    }
    for (size_t i = 0; i < process->slot_count; i++) {
        add_option(words, "--slot", process->slots[i].text);
    }
}

/* A file in memory with the text, at its beginning. -1 and errno. */
static int
text_file(const char *text)
{
    int fd = memfd_create("redial-plugin-config",
                          MFD_CLOEXEC | MFD_ALLOW_SEALING);
    size_t len = strlen(text);
    size_t written = 0;
    while (fd >= 0 && written < len) {
        ssize_t part = write(fd, text + written, len - written);
        if (part < 0 && errno != EINTR) {
            int error = errno;
            close(fd);
            errno = error;
            return -1;
        }
        written += part > 0 ? (size_t)part : 0;
    }
    if (fd >= 0) {
        (void)lseek(fd, 0, SEEK_SET);
        (void)fcntl(fd, F_ADD_SEALS,
                    F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    }
    return fd;
}

int
host_process_start(const struct host_process *process, pid_t *ret_pid,
                   int *ret_groups_fd)
{
    struct words words;
    make_words(process, &words);
    int pipe_ends[2] = {-1, -1};
    int config_fd = text_file(process->config);
    if (config_fd < 0 || pipe2(pipe_ends, O_CLOEXEC) != 0) {
        int error = errno;
        if (config_fd >= 0) {
            close(config_fd);
        }
        return error;
    }
    (void)fcntl(pipe_ends[0], F_SETFL, O_NONBLOCK);
    (void)fcntl(pipe_ends[1], F_SETPIPE_SZ, GROUPS_PIPE_BYTES);
    struct spawn_options options = {
        .path = process->path,
        .argv = words.at,
        .envp = (const char *const *)environ,
        /* The last two as in make_words(). */
        .fds = {-1, -1, STDERR_FILENO, config_fd, pipe_ends[1]},
        .fd_count = 5,
    };
    int error = spawn(&options, ret_pid);
    close(config_fd);
    close(pipe_ends[1]);
    if (error != 0) {
        close(pipe_ends[0]);
    } else {
        *ret_groups_fd = pipe_ends[0];
    }
    return error;
}

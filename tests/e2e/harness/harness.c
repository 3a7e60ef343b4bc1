/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/e2e/harness/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { ARGS_MAX = 64 };

int64_t
now_ms(void)
{
    struct timespec at;

    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    return (int64_t)at.tv_sec * 1000 + at.tv_nsec / 1000000;
}

struct redial_deadline
patience(void)
{
    return redial_in_ms(PATIENCE_MS);
}

/* ---- The gateway ------------------------------------------------------- */

static const char *
build_dir(void)
{
    const char *dir = getenv("REDIAL_BUILD_DIR");

    assert_non_null(dir);
    return dir;
}

void
gateway_setup(struct test_gateway *gateway)
{
    memset(gateway, 0, sizeof(*gateway));
    (void)snprintf(gateway->dir, sizeof(gateway->dir), "/tmp/redial-XXXXXX");
    assert_non_null(mkdtemp(gateway->dir));
    (void)snprintf(gateway->agents, sizeof(gateway->agents),
                   "ipc://%s/run/agent.sock", gateway->dir);
    (void)snprintf(gateway->workers, sizeof(gateway->workers),
                   "ipc://%s/run/worker.sock", gateway->dir);
    (void)snprintf(gateway->admin, sizeof(gateway->admin),
                   "ipc://%s/run/admin.sock", gateway->dir);
}

static void
start_process(struct test_gateway *gateway, int log_fd)
{
    char program[512];
    char run[128];
    char store[128];
    const char *argv[ARGS_MAX] = {program, "--set", run, "--set", store};
    size_t count = 5;
    posix_spawn_file_actions_t actions;

    (void)snprintf(program, sizeof(program), "%s/bin/redial-gateway",
                   build_dir());
    (void)snprintf(run, sizeof(run), "runtimeDir=%s/run", gateway->dir);
    (void)snprintf(store, sizeof(store), "store.dir=%s/store", gateway->dir);
    if (gateway->config != NULL) {
        argv[count++] = "--config";
        argv[count++] = gateway->config;
    } else {
        argv[count++] = "--no-files";
    }
    for (size_t i = 0; gateway->sets != NULL && gateway->sets[i] != NULL; i++) {
        argv[count++] = "--set";
        argv[count++] = gateway->sets[i];
        assert_true(count < ARGS_MAX - 1);
    }
    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    (void)posix_spawn_file_actions_adddup2(&actions, log_fd, STDERR_FILENO);
    assert_int_equal(posix_spawn(&gateway->pid, program, &actions, NULL,
                                 (char *const *)(uintptr_t)argv, environ),
                     0);
    (void)posix_spawn_file_actions_destroy(&actions);
}

/* Copies the rest of the log to a file, so that the gateway never blocks. */
static void *
copy_log(void *arg)
{
    const struct test_gateway *gateway = arg;
    char path[96];
    char buf[4096];
    ssize_t len;
    int to;

    (void)snprintf(path, sizeof(path), "%s/gateway.log", gateway->dir);
    to = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    while ((len = read(gateway->log_fd, buf, sizeof(buf))) > 0) {
        (void)!write(to, buf, (size_t)len);
    }
    (void)close(to);
    return NULL;
}

/* Reads the log until the word comes; false at its end or after too long. */
static bool
read_until(int fd, const char *word, char *seen, size_t size)
{
    size_t len = 0;
    int64_t deadline = now_ms() + PATIENCE_MS;

    while (len < size - 1) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        int64_t left = deadline - now_ms();
        ssize_t got;

        if (left <= 0 || poll(&ready, 1, (int)left) <= 0) {
            break;
        }
        got = read(fd, seen + len, size - 1 - len);
        if (got <= 0) {
            break;
        }
        len += (size_t)got;
        seen[len] = '\0';
        if (strstr(seen, word) != NULL) {
            return true;
        }
    }
    seen[len] = '\0';
    print_message("the gateway said: %s\n", seen);
    return false;
}

void
gateway_run(struct test_gateway *gateway)
{
    int fds[2];
    bool ready;

    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    start_process(gateway, fds[1]);
    (void)close(fds[1]);
    gateway->log_fd = fds[0];
    ready = read_until(fds[0], "\"G001\"", gateway->started,
                       sizeof(gateway->started));
    assert_int_equal(pthread_create(&gateway->reader, NULL, copy_log, gateway),
                     0);
    assert_true(ready);
}

static int
reap(struct test_gateway *gateway)
{
    int status = 0;

    while (waitpid(gateway->pid, &status, 0) < 0 && errno == EINTR) {
    }
    gateway->pid = 0;
    return status;
}

static void
end_log(struct test_gateway *gateway)
{
    (void)pthread_join(gateway->reader, NULL);
    (void)close(gateway->log_fd);
}

int
gateway_fail(struct test_gateway *gateway)
{
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    int status;

    start_process(gateway, fd);
    (void)close(fd);
    status = reap(gateway);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void
gateway_kill(struct test_gateway *gateway)
{
    assert_true(gateway->pid > 0);
    (void)kill(gateway->pid, SIGKILL);
    (void)reap(gateway);
    end_log(gateway);
}

int
gateway_terminate(struct test_gateway *gateway)
{
    int status;

    assert_true(gateway->pid > 0);
    (void)kill(gateway->pid, SIGTERM);
    status = reap(gateway);
    end_log(gateway);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int
remove_one(const char *path, const struct stat *info, int kind,
           struct FTW *where)
{
    (void)info;
    (void)kind;
    (void)where;
    return remove(path);
}

void
gateway_teardown(struct test_gateway *gateway)
{
    if (gateway->pid > 0) {
        gateway_kill(gateway);
    }
    (void)nftw(gateway->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

redial_client *
client_of(const struct test_gateway *gateway)
{
    struct redial_client_options options = {
        .struct_size = sizeof(options),
        .connection.addresses = gateway->agents,
    };
    redial_client *client = NULL;
    struct redial_error error;

    assert_int_equal(redial_client_open(&options, &client, &error), REDIAL_OK);
    return client;
}

/* ---- The worker -------------------------------------------------------- */

static void
hold(struct script *script, redial_attempt *attempt)
{
    struct redial_outcome outcome = {.code = REDIAL_OK};

    pthread_mutex_lock(&script->lock);
    script->holding++;
    pthread_cond_broadcast(&script->changed);
    while (!script->released && !redial_attempt_cancelled(attempt)) {
        struct timespec at;

        (void)clock_gettime(CLOCK_REALTIME, &at);
        at.tv_nsec += 20 * 1000000;
        if (at.tv_nsec >= 1000000000) {
            at.tv_nsec -= 1000000000;
            at.tv_sec++;
        }
        pthread_cond_timedwait(&script->changed, &script->lock, &at);
    }
    if (!script->released) {
        outcome.code = REDIAL_CANCELLED;
    }
    script->holding--;
    pthread_mutex_unlock(&script->lock);
    redial_attempt_complete(attempt, &outcome, 0);
}

static void
fail_or_not(redial_attempt *attempt, const char *words)
{
    const struct redial_assignment *work = redial_attempt_work(attempt);
    struct redial_outcome outcome = {.code = REDIAL_OK};
    unsigned count = 0;
    char code[32];
    char reason[64];
    long pushback = 0;
    int read = sscanf(words, "fail %u %31s %63s %ld", &count, code, reason,
                      &pushback);

    if (read >= 3 && work->charged_before < count) {
        (void)redial_status_from_name(code, &outcome.code);
        outcome.reason = reason;
        outcome.text = "as the script says";
        outcome.has_pushback = read == 4;
        outcome.pushback_ms = pushback;
    } else {
        outcome.result = work->payload;
        outcome.result_bytes = work->payload_bytes;
    }
    redial_attempt_complete(attempt, &outcome, 0);
}

static void
handle(void *ctx, redial_attempt *attempt)
{
    struct script *script = ctx;
    const struct redial_assignment *work = redial_attempt_work(attempt);
    char words[128] = "";
    size_t len = work->payload_bytes < sizeof(words) - 1 ? work->payload_bytes
                                                         : sizeof(words) - 1;

    if (len > 0) {
        memcpy(words, work->payload, len);
    }
    pthread_mutex_lock(&script->lock);
    script->started++;
    pthread_cond_broadcast(&script->changed);
    pthread_mutex_unlock(&script->lock);
    if (strcmp(words, "hold") == 0) {
        hold(script, attempt);
    } else {
        fail_or_not(attempt, words);
    }
}

void
script_open(struct script *script, const struct test_gateway *gateway,
            uint32_t concurrency)
{
    struct redial_worker_method method = {
        .service = "test",
        .concurrency = concurrency,
        .handler = handle,
        .ctx = script,
    };
    struct redial_worker_options options = {
        .struct_size = sizeof(options),
        .connection.addresses = gateway->workers,
        .name = "script",
        .methods = &method,
        .method_count = 1,
    };
    struct redial_error error = {.status = REDIAL_OK};

    memset(script, 0, sizeof(*script));
    pthread_mutex_init(&script->lock, NULL);
    pthread_cond_init(&script->changed, NULL);
    assert_int_equal(redial_worker_open(&options, &script->worker, &error),
                     REDIAL_OK);
    assert_int_equal(
        redial_worker_wait_ready(script->worker, patience(), &error),
        REDIAL_OK);
}

void
script_wait_started(struct script *script, uint32_t count)
{
    struct timespec at;
    int failed = 0;

    (void)clock_gettime(CLOCK_REALTIME, &at);
    at.tv_sec += PATIENCE_MS / 1000;
    pthread_mutex_lock(&script->lock);
    while (script->started < count && failed == 0) {
        failed = pthread_cond_timedwait(&script->changed, &script->lock, &at);
    }
    pthread_mutex_unlock(&script->lock);
    assert_int_equal(failed, 0);
}

void
script_release(struct script *script)
{
    pthread_mutex_lock(&script->lock);
    script->released = true;
    pthread_cond_broadcast(&script->changed);
    pthread_mutex_unlock(&script->lock);
}

void
script_close(struct script *script)
{
    script_release(script);
    redial_worker_close(script->worker);
    pthread_cond_destroy(&script->changed);
    pthread_mutex_destroy(&script->lock);
}

/* ---- Jobs -------------------------------------------------------------- */

struct redial_job
job_of(const char *payload)
{
    return (struct redial_job){
        .struct_size = sizeof(struct redial_job),
        .service = "test",
        .method = "Run",
        .payload = payload,
        .payload_bytes = strlen(payload),
    };
}

struct redial_submitted
submit_job(redial_client *client, const struct redial_job *job)
{
    struct redial_submitted submitted;
    struct redial_error error = {.text = ""};
    enum redial_status status = redial_submit(client, job, patience(),
                                              &submitted, &error);

    if (status != REDIAL_OK) {
        print_message("submit: %s %s\n", redial_status_name(status),
                      error.text);
    }
    assert_int_equal(status, REDIAL_OK);
    return submitted;
}

struct redial_job_info *
final_of(redial_client *client, const char *id)
{
    struct redial_await what = {
        .struct_size = sizeof(what),
        .ids = &id,
        .id_count = 1,
        .all = true,
    };
    struct redial_job_list *list = NULL;
    struct redial_job_info *info = NULL;
    struct redial_error error = {.text = ""};
    enum redial_status status = redial_await(client, &what, patience(), &list,
                                             &error);

    if (status != REDIAL_OK) {
        print_message("await: %s %s\n", redial_status_name(status), error.text);
    }
    assert_int_equal(status, REDIAL_OK);
    redial_job_list_free(list);
    assert_int_equal(redial_get(client, (struct redial_job_ref){.id = id},
                                patience(), &info, &error),
                     REDIAL_OK);
    return info;
}

void
wait_for_event(redial_client *client, const char *id, const char *type)
{
    struct redial_filter filter = {
        .struct_size = sizeof(filter),
        .job_ids = &id,
        .job_id_count = 1,
        .types = &type,
        .type_count = 1,
    };
    redial_watch *watch = NULL;
    const struct redial_event *event = NULL;
    struct redial_error error = {.text = ""};

    assert_int_equal(
        redial_watch_open(client, &filter, "start", patience(), &watch, &error),
        REDIAL_OK);
    assert_int_equal(redial_watch_next(watch, patience(), &event, &error),
                     REDIAL_OK);
    assert_string_equal(event->type, type);
    redial_watch_close(watch);
}

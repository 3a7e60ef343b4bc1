/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redial-plugin-host as a program: its exit codes, what it says, and how it
 * ends. Started by hand here, as a worker of a gateway elsewhere would be.
 */
#include "server/plugins/spawn.h"
#include "tests/e2e/harness/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { WORDS_MAX = 32, LOG_BYTES = 16384 };

static struct test_gateway gateway;
static char config_path[128];
static char fifo[128];
static char gate[128];

/* A host, and what it logs. */
struct host {
    pid_t pid;
    int log_fd;
    char log[LOG_BYTES];
    size_t log_len;
};

static void
start_host(struct host *host, const char *const *more)
{
    char program[512];
    snprintf(program, sizeof(program), "%s/bin/redial-plugin-host",
             getenv("REDIAL_BUILD_DIR"));
    const char *argv[WORDS_MAX] = {program,
                                   "--address",
                                   gateway.workers,
                                   "--name",
                                   "by-hand",
                                   "--plugin-dir",
                                   getenv("REDIAL_ODD_PLUGIN_DIR")};
    size_t count = 7;
    for (size_t i = 0; more[i] != NULL; i++) {
        argv[count++] = more[i];
        assert_true(count < WORDS_MAX - 1);
    }
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    struct spawn_options options = {
        .path = program,
        .argv = argv,
        .envp = (const char *const *)environ,
        .fds = {-1, -1, ends[1]},
        .fd_count = 3,
    };
    memset(host, 0, sizeof(*host));
    assert_int_equal(spawn(&options, &host->pid), 0);
    close(ends[1]);
    host->log_fd = ends[0];
}

/* Reads the log until a word comes; false at its end. */
static bool
read_log(struct host *host, const char *word)
{
    while (word == NULL || strstr(host->log, word) == NULL) {
        size_t room = sizeof(host->log) - 1 - host->log_len;
        ssize_t len = read(host->log_fd, host->log + host->log_len, room);
        if (len <= 0) {
            return false;
        }
        host->log_len += (size_t)len;
        host->log[host->log_len] = '\0';
    }
    return true;
}

/* Waits for its end; returns its wait status. */
static int
end_host(struct host *host)
{
    int status = 0;
    (void)read_log(host, NULL);
    close(host->log_fd);
    assert_int_equal(waitpid(host->pid, &status, 0), host->pid);
    return status;
}

static void
check_exit(const char *const *more, int exit_code, const char *said)
{
    static struct host host;
    start_host(&host, more);
    int status = end_host(&host);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != exit_code ||
        strstr(host.log, said) == NULL) {
        fail_msg("status %d: %s", status, host.log);
    }
}

static int
start(void **state)
{
    (void)state;
    char config[512];
    gateway_setup(&gateway);
    snprintf(config_path, sizeof(config_path), "%s/exec.json", gateway.dir);
    snprintf(fifo, sizeof(fifo), "%s/fifo", gateway.dir);
    snprintf(gate, sizeof(gate), "%s/gate", gateway.dir);
    int len = snprintf(config, sizeof(config),
                       "{\"argv\":[\"/bin/sh\",\"-c\",\"eval \\\"$(cat)\\\"\"],"
                       "\"env\":{\"OUT\":\"%s\",\"GATE\":\"%s\"}}",
                       fifo, gate);
    int fd = open(config_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    return mkfifo(fifo, 0600) == 0 && mkfifo(gate, 0600) == 0 &&
                   write(fd, config, (size_t)len) == len && close(fd) == 0
               ? 0
               : -1;
}

static int
stop(void **state)
{
    (void)state;
    gateway_teardown(&gateway);
    while (waitpid(-1, NULL, 0) > 0) {
    }
    return errno == ECHILD ? 0 : -1;
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void
a_wrong_command_line_is_explained(void **state)
{
    (void)state;
    check_exit(WORDS("--plugin", "odd_none"), 64, "--slot is missing");
    check_exit(WORDS("--plugin", "odd_none", "--slots", "s"), 64, "usage:");
}

static void
a_plugin_that_cannot_be_used_is_named(void **state)
{
    (void)state;
    check_exit(WORDS("--plugin", "odd_abi", "--slot", "s"), 78,
               "it speaks version 2 of the plugin ABI");
    check_exit(WORDS("--plugin", "no_such", "--slot", "s"), 78,
               "No such file or directory");
    check_exit(WORDS("--plugin", "odd_open", "--slot", "s"), 78,
               "the moon is not right");
    check_exit(WORDS("--plugin", "odd_none", "--slot", "s", "--config-file",
                     "/no/such/file"),
               78, "/no/such/file: No such file");
    check_exit(
        WORDS("--plugin", "odd_none", "--slot", "s", "--parent-pid", "1"), 70,
        "");
}

static void
a_crash_at_load_is_the_end(void **state)
{
    (void)state;
    static struct host host;
    start_host(&host, WORDS("--plugin", "odd_crash_load", "--slot", "s"));
    int status = end_host(&host);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
}

/* Starts the gateway, and a host of exec from its folder in the build. */
static void
start_exec(struct host *host, redial_client **ret_client)
{
    char plugin[512];
    snprintf(plugin, sizeof(plugin), "%s/exec.so", getenv("REDIAL_PLUGIN_DIR"));
    gateway_run(&gateway);
    start_host(host, WORDS("--plugin", plugin, "--slot", "sh=2",
                           "--config-file", config_path));
    assert_true(read_log(host, "H001"));
    *ret_client = client_of(&gateway);
}

static struct redial_submitted
submit(redial_client *client, const char *line)
{
    struct redial_job job = {
        .struct_size = sizeof(job),
        .service = "sh",
        .method = "Run",
        .payload = line,
        .payload_bytes = strlen(line),
    };
    return submit_job(client, &job);
}

static pid_t
read_pid(void)
{
    char line[32] = "";
    FILE *file = fopen(fifo, "re");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof(line), file));
    fclose(file);
    return (pid_t)strtol(line, NULL, 10);
}

static void
sigterm_lets_it_finish(void **state)
{
    (void)state;
    static struct host host;
    redial_client *client;
    start_exec(&host, &client);
    struct redial_submitted submitted = submit(client,
                                               "echo $$ >$OUT; cat <$GATE");
    read_pid();
    assert_int_equal(kill(host.pid, SIGTERM), 0);
    assert_true(read_log(&host, "H006"));
    FILE *opened = fopen(gate, "we");
    assert_non_null(opened);
    fputs("done", opened);
    fclose(opened);
    struct redial_job_info *info = final_of(client, submitted.id);
    assert_int_equal(info->state, REDIAL_JOB_SUCCEEDED);
    assert_memory_equal(info->outcome->result, "done", 4);
    redial_job_info_free(info);
    int status = end_host(&host);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_non_null(strstr(host.log, "H007"));
    redial_client_close(client);
}

/*
 * Reaps a grandchild. It becomes our child only when its own parent is dead,
 * which may be a moment after the host is.
 */
static int
reap_orphan(pid_t pid)
{
    int64_t deadline = now_ms() + PATIENCE_MS;
    int status = 0;
    pid_t got;

    do {
        got = waitpid(pid, &status, 0);
    } while (got < 0 && errno == ECHILD && now_ms() < deadline &&
             poll(NULL, 0, 5) == 0);
    assert_int_equal(got, pid);
    return status;
}

static void
a_second_sigterm_ends_it_at_once(void **state)
{
    (void)state;
    static struct host host;
    redial_client *client;
    start_exec(&host, &client);
    submit(client, "trap '' TERM; sleep 1000 & echo $! >$OUT; wait");
    pid_t sleeper = read_pid();
    assert_int_equal(kill(host.pid, SIGTERM), 0);
    assert_true(read_log(&host, "H006"));
    assert_int_equal(kill(host.pid, SIGTERM), 0);
    int status = end_host(&host);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 143);
    /* There is no supervisor here: the guard has killed it for us to reap. */
    status = reap_orphan(sleeper);
    assert_int_equal(WTERMSIG(status), SIGKILL);
    redial_client_close(client);
}

static void
its_log_is_json_lines(void **state)
{
    (void)state;
    static struct host host;
    start_host(&host, WORDS("--plugin", "odd_none", "--slot", "s"));
    assert_true(read_log(&host, "\n"));
    assert_memory_equal(host.log, "{\"time\":\"", 9);
    assert_non_null(strstr(host.log, "\"level\":\"info\",\"id\":\"H001\","
                                     "\"message\":\"the plugin is open\","
                                     "\"worker\":\"by-hand\","
                                     "\"detail\":\"odd\"}\n"));
    assert_int_equal(kill(host.pid, SIGKILL), 0);
    end_host(&host);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_wrong_command_line_is_explained),
        TEST(a_plugin_that_cannot_be_used_is_named),
        TEST(a_crash_at_load_is_the_end),
        TEST(sigterm_lets_it_finish),
        TEST(a_second_sigterm_ends_it_at_once),
        TEST(its_log_is_json_lines),
    };
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

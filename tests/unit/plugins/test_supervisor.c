/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hosts are small shell scripts here; they tell what they see through a FIFO.
 * Time is made up. The test is a child subreaper, as the gateway is.
 */
#include "server/plugins/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATH_BYTES = 256 };

static struct supervisor *supervisor;
static struct mono now = {1000000};
static char folder[PATH_BYTES];
static char script[PATH_BYTES + 16];
static char fifo[PATH_BYTES + 16];

static int
setup(void **state)
{
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof(folder), "%s/redial-supervisor-XXXXXX",
             base == NULL ? "/tmp" : base);
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    snprintf(script, sizeof(script), "%s/host", folder);
    snprintf(fifo, sizeof(fifo), "%s/fifo", folder);
    return mkfifo(fifo, 0600);
}

static int
teardown(void **state)
{
    (void)state;
    supervisor_free(supervisor);
    supervisor = NULL;
    while (waitpid(-1, NULL, 0) > 0) {
    }
    unlink(script);
    unlink(fifo);
    return rmdir(folder);
}

static void
write_script(const char *lines)
{
    char text[2048];
    int len = snprintf(text, sizeof(text), "#!/bin/sh\nout=%s\n%s\n", fifo,
                       lines);
    int fd = open(script, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
    assert_true(fd >= 0 && len > 0);
    assert_int_equal(write(fd, text, (size_t)len), len);
    assert_int_equal(close(fd), 0);
}

static void
make_supervisor(const char *host_path)
{
    struct supervisor_options options = {
        .host_path = host_path,
        .address = "ipc:///run/workers.sock",
        .plugins_max = 2,
        .seed = 42,
    };
    supervisor = supervisor_new(&options);
    assert_non_null(supervisor);
}

static enum redial_status
add(const char *name)
{
    static const struct supervisor_slot slots[] = {
        {"image.ImageGen", "Generate", 4},
        {"audio.Voice", NULL, 2},
    };
    struct supervisor_plugin plugin = {
        .name = name,
        .plugin = "exec",
        .config = "{\"argv\":[\"true\"]}",
        .slots = slots,
        .slot_count = 2,
        .concurrency = 5,
    };
    return supervisor_add(supervisor, &plugin);
}

/* Waits for a line of a script. */
static void
read_line(char *ret_line, size_t size)
{
    FILE *file = fopen(fifo, "re");
    assert_non_null(file);
    assert_non_null(fgets(ret_line, (int)size, file));
    ret_line[strcspn(ret_line, "\n")] = '\0';
    fclose(file);
}

/* Steps, and expects a start. */
static struct supervisor_event
step_and_start(void)
{
    struct supervisor_event event;
    supervisor_step(supervisor, now);
    assert_true(supervisor_take_event(supervisor, &event));
    assert_int_equal(event.type, SUPERVISOR_STARTED);
    assert_true(event.pid > 1);
    assert_false(supervisor_is_idle(supervisor));
    return event;
}

/* Waits for the death of that child, passes it on, and expects the event. */
static struct supervisor_event
reap(pid_t pid)
{
    int status = 0;
    struct supervisor_event event;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(supervisor_reaped(supervisor, now, pid, status));
    assert_true(supervisor_take_event(supervisor, &event));
    assert_int_equal(event.type, SUPERVISOR_DIED);
    assert_int_equal(event.pid, pid);
    assert_int_equal(event.wait_status, status);
    assert_false(supervisor_take_event(supervisor, &event) && event.pid == pid);
    return event;
}

static void
a_host_gets_all_it_needs(void **state)
{
    (void)state;
    write_script("{ echo \"$* | $(cat <&3) | $(echo /proc/self/fd/*)\"; } "
                 ">\"$out\"; exit 0");
    make_supervisor(script);
    assert_int_equal(add("image-worker"), REDIAL_OK);
    struct supervisor_event event = step_and_start();
    char line[2048];
    read_line(line, sizeof(line));
    char wanted[1024];
    snprintf(wanted, sizeof(wanted),
             "--plugin exec --address ipc:///run/workers.sock --name "
             "image-worker --instance %s --config-fd 3 --groups-fd 4 "
             "--parent-pid %ld --concurrency 5 --slot "
             "image.ImageGen/Generate=4 --slot audio.Voice=2 | "
             "{\"argv\":[\"true\"]} | ",
             event.instance, (long)getpid());
    assert_memory_equal(line, wanted, strlen(wanted));
    assert_int_equal(strlen(event.instance), 32);
    assert_null(strstr(line, "/fd/6"));
    assert_string_equal(event.name, "image-worker");
    reap(event.pid);
}

static void
restarts_come_later_and_later(void **state)
{
    (void)state;
    write_script("exit 3");
    make_supervisor(script);
    assert_int_equal(add("a"), REDIAL_OK);
    int64_t base_ms = 100;
    char last_instance[SUPERVISOR_INSTANCE_BYTES] = "";
    bool differs = false;
    for (int i = 0; i < 14; i++) {
        struct supervisor_event event = step_and_start();
        assert_int_equal(event.starts, i + 1);
        assert_string_not_equal(event.instance, last_instance);
        memcpy(last_instance, event.instance, sizeof(last_instance));
        event = reap(event.pid);
        assert_int_equal(WEXITSTATUS(event.wait_status), 3);
        assert_in_range(event.restart_ms, base_ms * 8 / 10, base_ms * 12 / 10);
        differs = differs || event.restart_ms != base_ms;
        assert_int_equal(supervisor_next_wake(supervisor).ms,
                         now.ms + event.restart_ms);
        now.ms += event.restart_ms - 1;
        supervisor_step(supervisor, now); /* not yet */
        assert_true(supervisor_is_idle(supervisor));
        now.ms += 1;
        base_ms = base_ms * 2 < 30000 ? base_ms * 2 : 30000;
    }
    assert_true(differs);
}

static void
health_is_rewarded(void **state)
{
    (void)state;
    write_script("exit 3");
    make_supervisor(script);
    assert_int_equal(add("a"), REDIAL_OK);
    static const struct {
        int64_t life_ms;
        int64_t base_ms;
    } rows[] = {{0, 100}, {9999, 200}, {9999, 400}, {10000, 100}, {0, 200}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        pid_t pid = step_and_start().pid;
        now.ms += rows[i].life_ms;
        int64_t restart_ms = reap(pid).restart_ms;
        assert_in_range(restart_ms, rows[i].base_ms * 8 / 10,
                        rows[i].base_ms * 12 / 10);
        now.ms += restart_ms;
    }
}

static void
a_host_that_cannot_start_is_tried_again(void **state)
{
    (void)state;
    write_script("exit 0");
    make_supervisor("/no/such/host");
    assert_int_equal(add("a"), REDIAL_OK);
    struct supervisor_event event;
    for (int i = 0; i < 3; i++) {
        supervisor_step(supervisor, now);
        assert_true(supervisor_take_event(supervisor, &event));
        assert_int_equal(event.type, SUPERVISOR_FAILED);
        assert_int_equal(event.error, ENOENT);
        assert_in_range(event.restart_ms, (80 << i), (120 << i));
        assert_true(supervisor_is_idle(supervisor));
        now.ms += event.restart_ms;
    }
}

static void
the_groups_of_a_dead_host_are_killed(void **state)
{
    (void)state;
    /* A group that nobody but the supervisor knows, and a child in our own. */
    write_script("sleep 999 & own=$!\n"
                 "setsid sh -c 'echo $$ >\"$0\"; exec sleep 999' \"$out.pid\" "
                 "&\n"
                 "while ! read -r pid 2>/dev/null <\"$out.pid\"; do :; done\n"
                 "rm \"$out.pid\"\n"
                 "echo \"+$pid\" >&4\n"
                 "echo \"$own $pid\" >\"$out\"\n"
                 "kill -9 $$");
    make_supervisor(script);
    assert_int_equal(add("a"), REDIAL_OK);
    pid_t host = step_and_start().pid;
    char line[64];
    char *end = NULL;
    read_line(line, sizeof(line));
    pid_t own = (pid_t)strtol(line, &end, 10);
    pid_t other = (pid_t)strtol(end, NULL, 10);
    assert_true(own > 1 && other > 1);
    assert_int_equal(WTERMSIG(reap(host).wait_status), SIGKILL);
    int status = 0;
    assert_int_equal(waitpid(other, &status, 0), other);
    assert_int_equal(WTERMSIG(status), SIGKILL);
    assert_int_equal(waitpid(own, &status, 0), own);
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void
a_group_that_has_ended_is_left_alone(void **state)
{
    (void)state;
    write_script("setsid sh -c 'echo $$ >\"$0\"; exec sleep 999' \"$out.pid\" "
                 "&\n"
                 "while ! read -r pid 2>/dev/null <\"$out.pid\"; do :; done\n"
                 "rm \"$out.pid\"\n"
                 "printf '+%s\\nnoise\\n+1\\n+0\\n--2\\n-%s\\n' $pid $pid >&4\n"
                 "echo $pid >\"$out\"\n"
                 "exit 0");
    make_supervisor(script);
    assert_int_equal(add("a"), REDIAL_OK);
    pid_t host = step_and_start().pid;
    char line[64];
    read_line(line, sizeof(line));
    pid_t other = (pid_t)strtol(line, NULL, 10);
    reap(host);
    assert_int_equal(kill(other, 0), 0);
    assert_int_equal(waitpid(other, NULL, WNOHANG), 0);
    assert_int_equal(kill(other, SIGKILL), 0);
}

static void
stopping_asks_first(void **state)
{
    (void)state;
    write_script("trap 'exit 7' TERM; echo ready >\"$out\"; "
                 "while :; do sleep 1; done");
    make_supervisor(script);
    assert_int_equal(add("a"), REDIAL_OK);
    pid_t pid = step_and_start().pid;
    char line[64];
    read_line(line, sizeof(line));
    /* A look at what it reports, and then its end. */
    assert_int_equal(supervisor_next_wake(supervisor).ms, now.ms + 1000);
    supervisor_stop(supervisor, now, 600);
    assert_int_equal(supervisor_next_wake(supervisor).ms, now.ms + 600);
    struct supervisor_event event = reap(pid);
    assert_int_equal(WEXITSTATUS(event.wait_status), 7);
    assert_int_equal(event.restart_ms, -1);
    assert_true(supervisor_is_idle(supervisor));
    assert_int_equal(supervisor_next_wake(supervisor).ms, MONO_NEVER.ms);
    now.ms += 1000000;
    supervisor_step(supervisor, now);
    assert_true(supervisor_is_idle(supervisor));
    assert_int_equal(add("late"), REDIAL_OK);
    supervisor_step(supervisor, now);
    assert_true(supervisor_is_idle(supervisor));
}

static void
stopping_kills_in_the_end(void **state)
{
    (void)state;
    write_script("trap '' TERM; echo ready >\"$out\"; "
                 "while :; do sleep 1; done");
    make_supervisor(script);
    assert_int_equal(add("a"), REDIAL_OK);
    pid_t pid = step_and_start().pid;
    char line[64];
    read_line(line, sizeof(line));
    supervisor_stop(supervisor, now, 500);
    now.ms += 499;
    supervisor_step(supervisor, now);
    assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
    now.ms += 1;
    supervisor_step(supervisor, now);
    assert_int_equal(WTERMSIG(reap(pid).wait_status), SIGKILL);
}

static void
a_second_stop_may_be_shorter(void **state)
{
    (void)state;
    write_script("trap '' TERM; echo ready >\"$out\"; "
                 "while :; do sleep 1; done");
    make_supervisor(script);
    assert_int_equal(add("a"), REDIAL_OK);
    pid_t pid = step_and_start().pid;
    char line[64];
    read_line(line, sizeof(line));
    supervisor_stop(supervisor, now, 60000);
    supervisor_stop(supervisor, now, 0);
    supervisor_step(supervisor, now);
    assert_int_equal(WTERMSIG(reap(pid).wait_status), SIGKILL);
}

static void
plugins_come_and_go(void **state)
{
    (void)state;
    write_script("trap 'exit 0' TERM; echo ready >\"$out\"; "
                 "while :; do sleep 1; done");
    make_supervisor(script);
    assert_int_equal(add("a"), REDIAL_OK);
    assert_int_equal(add("a"), REDIAL_ALREADY_EXISTS);
    assert_int_equal(add("b"), REDIAL_OK);
    assert_int_equal(add("c"), REDIAL_RESOURCE_EXHAUSTED);
    assert_int_equal(supervisor_remove(supervisor, now, "b", 0), REDIAL_OK);
    assert_int_equal(supervisor_remove(supervisor, now, "b", 0),
                     REDIAL_NOT_FOUND);
    pid_t pid = step_and_start().pid;
    char line[64];
    read_line(line, sizeof(line));
    assert_int_equal(supervisor_remove(supervisor, now, "a", 60000), REDIAL_OK);
    assert_int_equal(add("a"), REDIAL_ALREADY_EXISTS); /* still draining */
    assert_int_equal(reap(pid).restart_ms, -1);
    assert_int_equal(add("a"), REDIAL_OK);
    assert_int_equal(add(""), REDIAL_INVALID_ARGUMENT);
}

static void
strangers_are_not_ours(void **state)
{
    (void)state;
    write_script("exit 0");
    make_supervisor(script);
    assert_int_equal(add("a"), REDIAL_OK);
    assert_false(supervisor_reaped(supervisor, now, 0, 0));
    assert_false(supervisor_reaped(supervisor, now, 4194305, 0));
}

static void
a_host_dies_with_its_gateway(void **state)
{
    (void)state;
    write_script("trap '' TERM HUP INT; echo $$ >\"$out\"; "
                 "while :; do sleep 1; done");
    pid_t gateway = fork();
    if (gateway == 0) {
        make_supervisor(script);
        add("a");
        supervisor_step(supervisor, now);
        pause();
        _exit(0);
    }
    char line[64];
    read_line(line, sizeof(line));
    pid_t host = (pid_t)strtol(line, NULL, 10);
    assert_true(host > 1);
    assert_int_equal(kill(gateway, SIGKILL), 0);
    int status = 0;
    assert_int_equal(waitpid(gateway, &status, 0), gateway);
    assert_int_equal(waitpid(host, &status, 0), host);
    assert_int_equal(WTERMSIG(status), SIGKILL);
    kill(-host, SIGKILL); /* the script's own child: see the guard's test */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_host_gets_all_it_needs),
        TEST(restarts_come_later_and_later),
        TEST(health_is_rewarded),
        TEST(a_host_that_cannot_start_is_tried_again),
        TEST(the_groups_of_a_dead_host_are_killed),
        TEST(a_group_that_has_ended_is_left_alone),
        TEST(stopping_asks_first),
        TEST(stopping_kills_in_the_end),
        TEST(a_second_stop_may_be_shorter),
        TEST(plugins_come_and_go),
        TEST(strangers_are_not_ours),
        TEST(a_host_dies_with_its_gateway),
    };
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

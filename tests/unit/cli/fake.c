/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cli/fake.h"

#include "client/clock.h"
#include "proto/json_out.h"
#include "proto/unpack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define STEPS_MAX  32
#define WORDS_MAX  48
#define LINE_BYTES 512

struct step {
    const char *method;
    uint8_t *answer; /* packed; NULL: it fails */
    size_t answer_len;
    struct redial_error error;
    char *request; /* JSON, once it was called */
};

static struct {
    char line[LINE_BYTES];
    struct args args;
    struct cli cli;
    char *out;
    size_t out_len;
    char *err;
    size_t err_len;
    struct step steps[STEPS_MAX];
    size_t step_count;
    size_t called;
    size_t end_time_at; /* 0: never */
    char gateway[512];
} fake;

static int64_t
now(void)
{
    return FAKE_NOW;
}

static char *
environment(const char *name)
{
    return strcmp(name, "REDIAL_GATEWAY") == 0 && fake.gateway[0] != '\0'
               ? fake.gateway
               : NULL;
}

static char *
json_of(const ProtobufCMessage *message)
{
    struct wire_json json;
    char *copy;

    wire_json_init(&json, 1 << 20);
    wire_json_message(&json, message);
    assert_int_equal(json.status, REDIAL_OK);
    copy = strdup(json.text);
    wire_json_fini(&json);
    return copy;
}

static enum redial_status
call(void *ctx, const struct redial_i_method *method,
     const ProtobufCMessage *request, struct redial_deadline deadline,
     struct redial_i_response *ret_response, struct redial_error *ret_error)
{
    const ProtobufCMethodDescriptor *descriptor =
        protobuf_c_service_descriptor_get_method_by_name(method->service,
                                                         method->name);
    struct step *step = &fake.steps[fake.called];
    struct wire_error error;

    (void)ctx;
    (void)deadline;
    if (fake.called == fake.step_count) {
        fail_msg("nobody expected %s", method->name);
    }
    assert_string_equal(method->name, step->method);
    assert_non_null(descriptor);
    assert_ptr_equal(descriptor->input, request->descriptor);
    step->request = json_of(request);
    fake.called++;
    if (fake.end_time_at != 0 && fake.called >= fake.end_time_at) {
        fake.cli.deadline.mono_ns = redial_i_now();
    }
    if (step->answer == NULL) {
        *ret_error = step->error;
        return step->error.status;
    }
    wire_arena_init(&ret_response->arena, NULL, 0);
    wire_arena_reset(&ret_response->arena, wire_arena_budget(1 << 20));
    ret_response->message = wire_unpack(descriptor->output, step->answer,
                                        step->answer_len, &ret_response->arena,
                                        &error);
    assert_non_null(ret_response->message);
    return REDIAL_OK;
}

static void
split(const char *line, char **argv, int *argc)
{
    (void)snprintf(fake.line, sizeof(fake.line), "%s", line);
    for (char *at = fake.line; at != NULL && *argc < WORDS_MAX; (*argc)++) {
        char *space = strchr(at, ' ');

        argv[*argc] = at;
        if (space != NULL) {
            *space++ = '\0';
        }
        for (char *c = at; *c != '\0'; c++) {
            *c = *c == '_' ? ' ' : *c;
        }
        at = space;
    }
}

void
fake_begin(const char *line)
{
    char name[] = "redial";
    char *argv[WORDS_MAX] = {name};
    int argc = 1;

    fake_end();
    split(line, argv, &argc);
    if (!args_parse(&fake.args, argc, argv)) {
        fail_msg("%s", fake.args.error);
    }
    cli_init(&fake.cli, &fake.args);
    fake.cli.out = open_memstream(&fake.out, &fake.out_len);
    fake.cli.err = open_memstream(&fake.err, &fake.err_len);
    fake.cli.in = NULL;
    fake.cli.out_is_terminal = false;
    fake.cli.err_is_terminal = false;
    fake.cli.line.colour = false;
    fake.cli.note.colour = false;
    fake.cli.environment = environment;
    fake.cli.wall_ms = now;
    fake.cli.caller = call;
    fake.cli.pause_ms = 0;
    fake.cli.deadline = redial_never();
    assert_non_null(fake.cli.out);
    assert_non_null(fake.cli.err);
}

static struct step *
add_step(const char *method)
{
    assert_true(fake.step_count < STEPS_MAX);
    fake.steps[fake.step_count].method = method;
    return &fake.steps[fake.step_count++];
}

void
fake_answer(const char *method, const ProtobufCMessage *answer)
{
    struct step *step = add_step(method);
    size_t len = protobuf_c_message_get_packed_size(answer);

    step->answer = malloc(len + 1);
    assert_non_null(step->answer);
    step->answer_len = protobuf_c_message_pack(answer, step->answer);
}

void
fake_refuse(const char *method, enum redial_status status, const char *reason,
            const char *text)
{
    struct step *step = add_step(method);

    step->error.status = status;
    (void)snprintf(step->error.reason, sizeof(step->error.reason), "%s",
                   reason);
    (void)snprintf(step->error.text, sizeof(step->error.text), "%s", text);
}

void
fake_give_input(const char *text)
{
    /* It is only read. */
    fake.cli.in = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
    assert_non_null(fake.cli.in);
}

void
fake_end_time_at(size_t call_number)
{
    fake.end_time_at = call_number;
}

void
fake_limit_time(uint64_t ms)
{
    fake.cli.deadline = redial_in_ms(ms);
}

void
fake_set_gateway(const char *path)
{
    (void)snprintf(fake.gateway, sizeof(fake.gateway), "%s", path);
}

enum exit_code
fake_run(void)
{
    enum exit_code code = cli_run(&fake.cli);

    if (fake.called != fake.step_count) {
        fail_msg("%zu calls of %zu", fake.called, fake.step_count);
    }
    return code;
}

const char *
fake_out(void)
{
    (void)fflush(fake.cli.out);
    return fake.out;
}

const char *
fake_err(void)
{
    (void)fflush(fake.cli.err);
    return fake.err;
}

const char *
fake_request(size_t call_number)
{
    assert_true(call_number >= 1 && call_number <= fake.called);
    return fake.steps[call_number - 1].request;
}

void
fake_end(void)
{
    for (size_t i = 0; i < fake.step_count; i++) {
        free(fake.steps[i].answer);
        free(fake.steps[i].request);
    }
    if (fake.cli.out != NULL) {
        (void)fclose(fake.cli.out);
    }
    if (fake.cli.err != NULL) {
        (void)fclose(fake.cli.err);
    }
    if (fake.cli.in != NULL) {
        (void)fclose(fake.cli.in);
    }
    cli_fini(&fake.cli);
    args_fini(&fake.args);
    free(fake.out);
    free(fake.err);
    memset(&fake, 0, sizeof(fake));
}

Redial__V1__Job
fake_job(const char *id, Redial__V1__Job__State state)
{
    Redial__V1__Job job = REDIAL__V1__JOB__INIT;

    job.id = (char *)(uintptr_t)id;
    job.correlation_id = (char *)(uintptr_t) "story-42";
    job.service = (char *)(uintptr_t) "image.ImageGen";
    job.method = (char *)(uintptr_t) "Generate";
    job.has_state = true;
    job.state = state;
    job.has_accepted_wall_ms = true;
    job.accepted_wall_ms = FAKE_NOW - 5000;
    job.has_state_since_wall_ms = true;
    job.state_since_wall_ms = FAKE_NOW - 1000;
    job.has_attempts_charged = true;
    job.attempts_charged = 2;
    job.has_max_attempts = true;
    job.max_attempts = 5;
    return job;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "client/examples/pipeline/studio.h"

#include <redial/client.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How long an agent waits, restarts of the gateway included. */
enum { PATIENCE_MS = 120000 };

/* ---- Texts -------------------------------------------------------------- */

void
text_add(struct text *text, const char *bytes, size_t len)
{
    char *grown = realloc(text->bytes, text->len + len + 1);

    if (grown == NULL) {
        perror("studio");
        exit(STUDIO_TROUBLE);
    }
    if (len > 0) {
        memcpy(grown + text->len, bytes, len);
    }
    text->bytes = grown;
    text->len += len;
    grown[text->len] = '\0';
}

void
text_add_file(struct text *text, const char *path)
{
    FILE *file = fopen(path, "rb");
    char part[4096];
    size_t len;

    if (file == NULL) {
        perror(path);
        exit(STUDIO_TROUBLE);
    }
    while ((len = fread(part, 1, sizeof(part), file)) > 0) {
        text_add(text, part, len);
    }
    if (ferror(file)) {
        perror(path);
        exit(STUDIO_TROUBLE);
    }
    (void)fclose(file);
}

/* The part of `at` up to `end`, but for spaces around it. */
static struct text
trimmed(const char *at, const char *end)
{
    struct text text = {0};

    while (at < end && *at == ' ') {
        at++;
    }
    while (end > at && end[-1] == ' ') {
        end--;
    }
    text_add(&text, at, (size_t)(end - at));
    return text;
}

struct text
script_field(const struct text *script, unsigned line, unsigned field)
{
    const char *at = script->bytes;

    for (unsigned i = 1; at != NULL && i < line; i++) {
        at = strchr(at, '\n');
        at = at == NULL ? NULL : at + 1;
    }
    for (unsigned i = 0; at != NULL && i < field; i++) {
        at += strcspn(at, "|\n");
        at = *at == '|' ? at + 1 : NULL;
    }
    if (at == NULL || *at == '\0') {
        (void)fprintf(stderr, "studio: the script has no line %u\n", line);
        exit(STUDIO_TROUBLE);
    }
    return trimmed(at, at + strcspn(at, "|\n"));
}

/* ---- The job ------------------------------------------------------------ */

/*
 * FNV-1a of the payload. Should two payloads ever meet in one key, the gateway
 * refuses the second (ALREADY_EXISTS): never a wrong answer.
 */
static uint64_t
fingerprint(const struct text *text)
{
    uint64_t hash = 14695981039346656037u;

    for (size_t i = 0; i < text->len; i++) {
        hash = (hash ^ (unsigned char)text->bytes[i]) * 1099511628211u;
    }
    return hash;
}

static enum studio_exit
write_result(const struct redial_outcome *outcome, const char *output)
{
    FILE *file = fopen(output, "wb");

    if (file == NULL) {
        perror(output);
        return STUDIO_TROUBLE;
    }
    (void)fwrite(outcome->result, 1, outcome->result_bytes, file);
    if (ferror(file) != 0 || fclose(file) != 0) {
        perror(output);
        return STUDIO_TROUBLE;
    }
    return STUDIO_DONE;
}

/* Says how the job ended; keeps its result. */
static enum studio_exit
finish(const struct task *task, const struct redial_job_info *info,
       const char *output)
{
    const struct redial_outcome *outcome = info->outcome;

    if (info->state == REDIAL_JOB_SUCCEEDED) {
        (void)printf("%s: %s/%s done after %" PRIu32 " attempt%s\n",
                     task->agent, task->service, task->method,
                     info->attempts_charged,
                     info->attempts_charged == 1 ? "" : "s");
        return write_result(outcome, output);
    }
    (void)printf("%s: job %s is %s after %" PRIu32 " attempt%s: %s/%s, %s\n",
                 task->agent, info->id, redial_job_state_name(info->state),
                 info->attempts_charged, info->attempts_charged == 1 ? "" : "s",
                 redial_status_name(outcome->code), outcome->reason,
                 outcome->text);
    return STUDIO_FAILED;
}

enum studio_exit
studio_run(const struct task *task, const char *correlation_id,
           const char *output)
{
    struct redial_client_options options = {
        .struct_size = sizeof(options),
        .connection.addresses = getenv("REDIAL_ADDRESS"),
    };
    char key[REDIAL_NAME_BYTES];
    struct redial_job job = {
        .struct_size = sizeof(job),
        .service = task->service,
        .method = task->method,
        .payload = task->payload.bytes,
        .payload_bytes = task->payload.len,
        .content_type = task->content_type,
        .correlation_id = correlation_id,
        .key = key,
    };
    redial_client *client = NULL;
    struct redial_job_info *info = NULL;
    struct redial_error error;
    enum studio_exit result = STUDIO_TROUBLE;

    (void)snprintf(key, sizeof(key), "%.64s:%s:%016" PRIx64, correlation_id,
                   task->agent, fingerprint(&task->payload));
    if (redial_client_open(&options, &client, &error) == REDIAL_OK &&
        redial_call(client, &job, redial_in_ms(PATIENCE_MS), &info, &error) ==
            REDIAL_OK) {
        result = finish(task, info, output);
        redial_job_info_free(info);
    } else {
        (void)fprintf(stderr, "%s: %s %s\n", task->agent,
                      redial_status_name(error.status), error.text);
    }
    redial_client_close(client);
    return result;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the messages of redial.v1 and the values of the core: the only code
 * of the server, beside the services themselves, that knows both.
 *
 * Decoders point into the message (which must outlive the value) and name the
 * field in their error. Encoders append one packed sub-message, with its field
 * number, to a byte buffer, so that an answer of many items is packed piece by
 * piece without a copy of any; a failed append is remembered by the buffer.
 * Pure; one thread.
 */
#ifndef REDIAL_SERVER_NET_CODEC_H
#define REDIAL_SERVER_NET_CODEC_H

#include "proto/unpack.h"
#include "proto/uuid.h"
#include "redial/v1/admin.pb-c.h"
#include "redial/v1/event.pb-c.h"
#include "redial/v1/gateway.pb-c.h"
#include "redial/v1/job.pb-c.h"
#include "redial/v1/worker.pb-c.h"
#include "server/base/bytes.h"
#include "server/base/hash.h"
#include "server/core/engine.h"
#include "server/core/explain.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- Texts ------------------------------------------------------------- */

/* Terminated copies of texts, until the next scratch_clear(). */
enum { SCRATCH_BYTES = 16384 };

struct scratch {
    size_t used;
    char at[SCRATCH_BYTES];
};

void
scratch_clear(struct scratch *scratch);

/* A terminated copy, cut to what is left; NULL for an empty text. */
char *
scratch_text(struct scratch *scratch, struct text text);

/* The id as 36 characters. */
char *
scratch_id(struct scratch *scratch, struct job_id id);

/* A terminated string as a text; NULL is the empty one. */
struct text
text_of(const char *string);

/*
 * protobuf-c knows no const: a constant for a field of a message that is only
 * going to be packed.
 */
static inline char *
unconst(const char *string)
{
    return (char *)(uintptr_t)string;
}

/* Reads a UUID of any version; false leaves *ret_id alone. */
bool
codec_id(const char *string, struct job_id *ret_id);

/* ---- Content: what a job carries and the core does not see -------------- */

/* The stored form: content type, metadata, payload. */
struct content {
    const char *content_type; /* terminated; "" when not given */
    const uint8_t *metadata;  /* packed pairs, see content_metadata() */
    uint32_t metadata_count;
    const uint8_t *payload;
    size_t payload_bytes;
};

/* Bytes that content_write() writes for a job that codec_submit() accepted. */
size_t
content_size(const Redial__V1__JobSpec *spec);

void
content_write(const Redial__V1__JobSpec *spec, uint8_t *out);

/* The same for the result of an outcome, which has no metadata. */
size_t
content_size_of_result(const Redial__V1__Outcome *outcome);

void
content_write_result(const Redial__V1__Outcome *outcome, uint8_t *out);

/* False: the bytes are damaged. */
bool
content_read(const uint8_t *bytes, size_t len, struct content *ret_content);

/* Reads one pair and moves *at behind it; key and value point inside. */
void
content_metadata(const uint8_t **at, Redial__V1__Metadata *ret_pair);

/* ---- Agents ------------------------------------------------------------ */

/* What an operator may set below the limits of the wire. */
struct codec_limits {
    size_t payload_bytes_max;
    size_t result_bytes_max;
    size_t text_bytes_max; /* longer ones are cut */
    size_t metadata_bytes_max;
    uint32_t metadata_max;
    uint32_t name_bytes_max; /* key, correlation id, tenant */
    uint32_t service_bytes_max;
    uint32_t method_bytes_max;
};

/* The limits of the wire (proto/limits.h). */
void
codec_limits_default(struct codec_limits *ret_limits);

/* What the keyed hashes of keys and contents are made with. */
struct codec_hash_keys {
    struct hash_key key;
    struct hash_key content;
};

struct codec_rules {
    struct codec_limits limits;
    struct codec_hash_keys hash_keys;
};

/*
 * One job of a Submit. An absent id is left zero (`*ret_has_id` false) for the
 * caller to make. INVALID_ARGUMENT names the field below `path`.
 */
enum redial_status
codec_submit(const Redial__V1__JobSpec *spec, const struct codec_rules *rules,
             struct engine_submit *ret, bool *ret_has_id,
             struct wire_error *ret_error);

/* The hash under which the core keeps a key. */
void
codec_key_hash(const struct codec_hash_keys *keys, struct text tenant,
               struct text key, uint8_t ret_hash[16]);

/* Appends a Job as field `field`: of a live job. */
void
codec_put_live_job(struct bytes *out, uint32_t field,
                   const struct job_view *view, struct scratch *scratch);

/* Appends a Job as field `field`: of a final record and its result. */
void
codec_put_final_job(struct bytes *out, uint32_t field,
                    const struct record *final, struct scratch *scratch);

/* Fills a Job from a live view or a final record; texts in `scratch`. */
void
codec_job_of_view(const struct job_view *view, struct scratch *scratch,
                  Redial__V1__Job *ret_job, Redial__V1__Outcome *ret_failure);

void
codec_job_of_final(const struct record *final, struct scratch *scratch,
                   Redial__V1__Job *ret_job, Redial__V1__Outcome *ret_outcome);

void
codec_decision(const struct decision *decision,
               Redial__V1__Decision *ret_decision);

/*
 * What a job with its attempts is made of: the records of its timeline in order
 * (at least one) and, while it is live, its view.
 */
struct codec_timeline {
    const struct record *records;
    size_t count;
    const struct job_view *view; /* NULL: not live */
    const char *progress;        /* NULL: none */
    bool trimmed;                /* earlier records are gone */
};

/* Appends a Job with attempts as field `field`. */
void
codec_put_timeline(struct bytes *out, uint32_t field,
                   const struct codec_timeline *timeline);

/* The state that a final record leads to. */
enum job_state
codec_final_state(enum event_type type);

/*
 * Appends `message` and then `extra` (packed fields of the same message) as
 * one sub-message.
 */
void
codec_put_joined(struct bytes *out, uint32_t field,
                 const ProtobufCMessage *message, struct text extra);

/* enum job_state and Job.State have the same numbers. */
Redial__V1__Job__State
codec_state(enum job_state state);

/* ---- Workers ----------------------------------------------------------- */

/* `slots` and `tokens` have room for all that the request lists. */
enum redial_status
codec_hello(const Redial__V1__HelloRequest *request, struct engine_slots *slots,
            struct engine_token *tokens, struct engine_hello *ret,
            struct wire_error *ret_error);

enum redial_status
codec_poll(const Redial__V1__PollRequest *request, struct engine_slots *slots,
           struct engine_token *tokens, struct engine_poll *ret,
           struct wire_error *ret_error);

enum redial_status
codec_report(const Redial__V1__AttemptReport *report, uint64_t worker,
             const struct codec_limits *limits, struct engine_report *ret,
             struct wire_error *ret_error);

/* Appends an Assignment as field `field`. */
void
codec_put_assignment(struct bytes *out, uint32_t field,
                     const struct engine_command *command,
                     const struct job_view *view,
                     const struct content *content);

/* Appends a Token as field `field`. */
void
codec_put_token(struct bytes *out, uint32_t field,
                const struct engine_token *token);

/* ---- Events ------------------------------------------------------------ */

/* Who speaks: the same in every event of a log. */
struct codec_source {
    const char *epoch;
    const char *gateway;
};

/* Appends an Event as field `field`. */
void
codec_put_event(struct bytes *out, uint32_t field,
                const struct codec_source *source, const struct record *record,
                struct scratch *scratch);

/* ---- Policy ------------------------------------------------------------ */

/*
 * The question of an Explain; with *ret_has_job it is about that job, and the
 * caller sets the slot. Texts point into the request.
 */
enum redial_status
codec_explain_input(const Redial__V1__ExplainRequest *request,
                    struct explain_input *ret, struct job_id *ret_job,
                    bool *ret_has_job, struct wire_error *ret_error);

/* An ExplainResponse with all that it points at. */
enum { CODEC_EXPLAIN_TEXT_BYTES = 256 };

struct codec_explain {
    Redial__V1__ExplainResponse response;
    Redial__V1__Decision decision;
    Redial__V1__ExplainStep steps[EXPLAIN_STEPS];
    Redial__V1__ExplainStep *list[EXPLAIN_STEPS];
    char texts[EXPLAIN_STEPS][CODEC_EXPLAIN_TEXT_BYTES];
    char sentence[CODEC_EXPLAIN_TEXT_BYTES];
};

/* The answer in words and figures. */
void
codec_explain(const struct explain *explain, struct codec_explain *ret);

/* Appends a Budget as field `field`. */
void
codec_put_budget(struct bytes *out, uint32_t field,
                 const struct engine_target_stats *stats,
                 struct scratch *scratch);

/* Appends any message as field `field`. */
void
codec_put(struct bytes *out, uint32_t field, const ProtobufCMessage *message);

#endif

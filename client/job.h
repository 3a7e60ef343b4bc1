/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the program hands in, checked and packed. Any thread, no lock.
 */
#ifndef REDIAL_CLIENT_JOB_H
#define REDIAL_CLIENT_JOB_H

#include "proto/envelope.h"
#include <redial/client.h>
#include <redial/v1/job.pb-c.h>

/* For redial_i_job_check(): the job is not one of several. */
#define REDIAL_I_ALONE SIZE_MAX

/*
 * Copies a job of the caller's size and checks it. `index`: of the job in an
 * array, for the text, or REDIAL_I_ALONE.
 */
enum redial_status
redial_i_job_check(const struct redial_job *job, size_t index,
                   struct redial_job *ret_job, struct redial_error *ret_error);

/*
 * Packs a checked job under the given id as one element of SubmitRequest.jobs,
 * tag and length included. The caller frees *ret_bytes. False: no memory.
 */
bool
redial_i_job_pack(const struct redial_job *job, const char *id,
                  uint8_t **ret_bytes, size_t *ret_len);

/* NULL is fine; otherwise a word, or INVALID_ARGUMENT naming the field. */
enum redial_status
redial_i_check_word(const char *field, const char *word,
                    struct redial_error *ret_error);

/* Exactly one of id and key, and good ones. */
enum redial_status
redial_i_check_ref(struct redial_job_ref ref, struct redial_error *ret_error);

/* protobuf-c does not know const. */
static inline char *
redial_i_unconst(const char *text)
{
    union {
        const char *in;
        char *out;
    } u = {.in = text};

    return u.out;
}

#endif /* REDIAL_CLIENT_JOB_H */

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gateway that answers from a script, and a command line in front of it:
 *
 *     fake_begin("show --key fox");
 *     fake_answer("Get", &response.base);
 *     assert_int_equal(fake_run(), EXIT_DONE);
 *     assert_string_equal(fake_out(), "...");
 *
 * A call that is not the next one of the script fails the test, and so does an
 * answer that nobody asked for. One at a time.
 */
#ifndef REDIAL_TESTS_UNIT_CLI_FAKE_H
#define REDIAL_TESTS_UNIT_CLI_FAKE_H

#include "client/cli/cli.h"
#include "client/cli/verb.h"

/* What the clock of the wall shows: 2026-01-31T23:59:59Z. */
#define FAKE_NOW INT64_C(1769903999000)

/* Ids for jobs. */
#define FAKE_ID_1 "01890a5d-ac96-774b-bcce-b302099a8051"
#define FAKE_ID_2 "01890a5d-ac96-774b-bcce-b302099a8052"
#define FAKE_ID_3 "01890a5d-ac96-774b-bcce-b302099a8053"

/* A command line, words parted by single spaces ("_" inside stands for one). */
void
fake_begin(const char *line);

/* The next call is for `method` and gets this answer, which is copied. */
void
fake_answer(const char *method, const ProtobufCMessage *answer);

/* The next call is for `method` and fails. */
void
fake_refuse(const char *method, enum redial_status status, const char *reason,
            const char *text);

/* What standard input holds. */
void
fake_give_input(const char *text);

/* Says that --timeout is over from the call with this number on, from 1. */
void
fake_end_time_at(size_t call);

/* The time that --timeout leaves, from now on. */
void
fake_limit_time(uint64_t ms);

/* What REDIAL_GATEWAY is for this command line. */
void
fake_set_gateway(const char *path);

/* Runs the verb; all of the script must have been used. */
enum exit_code
fake_run(void);

/* What it wrote, until the next fake_begin(). */
const char *
fake_out(void);

const char *
fake_err(void);

/* The request of a call, from 1, as JSON. */
const char *
fake_request(size_t call);

/* Frees everything; for teardown. */
void
fake_end(void);

/* A job of the service image.ImageGen and the method Generate. */
Redial__V1__Job
fake_job(const char *id, Redial__V1__Job__State state);

#endif

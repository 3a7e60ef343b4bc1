/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration of the exec plugin, a JSON object:
 *
 *   argv              list of texts, the program first; required. Never a
 *                     shell line. {fields} of the job may stand in all words
 *                     but the first; each stays one word, and a value that
 *                     would make a word begin with '-' is refused
 *                     (INVALID_ARGUMENT/ARGUMENT_REFUSED)
 *   cwd               folder to run in
 *   env               object: variables for the program
 *   inherit_env       list: names of variables to take over from the host;
 *                     default PATH HOME LANG LC_ALL TZ TMPDIR USER
 *   output_bytes_max  of standard output, 0..4194304; default 4194304
 *   stderr_bytes_max  of standard error that is kept, the last ones, 0..4096;
 *                     default 4096
 *   grace_ms          from SIGTERM to SIGKILL when the attempt shall stop,
 *                     0..1500; default 0: SIGKILL at once
 *   content_type      of the result
 *   codes             object: other status codes for reasons, see codes.h:
 *                     "0".."255", EXIT_n, SIGNAL_n, SPAWN_FAILED
 *
 * The program gets the payload on standard input, writes the result to standard
 * output, and finds the job in its environment: REDIAL_JOB_ID, REDIAL_ATTEMPT
 * and so on for all fields of job_field.h, and TRACEPARENT and TRACESTATE from
 * the job's metadata. Lines on standard error are the outcome's text, except
 *
 *   REDIAL-REASON: WORD      the reason, e.g. SCRIPT_VALIDATION
 *   REDIAL-PUSHBACK-MS: n    come back after n ms; negative: do not come back
 *   REDIAL-PROGRESS: text    how far it is
 *
 * Exit codes (reason EXIT_n, but none for 0): 0 OK; 64, 65 INVALID_ARGUMENT;
 * 69, 75 UNAVAILABLE; 77 PERMISSION_DENIED; 78 FAILED_PRECONDITION; 124
 * DEADLINE_EXCEEDED; 127 UNIMPLEMENTED (also if there is no such program; 126
 * if it cannot be executed); others and signals (SIGNAL_n) UNKNOWN. More output
 * than allowed: INTERNAL/RESULT_TOO_LARGE. Not enough processes or memory to
 * start it: UNAVAILABLE/SPAWN_FAILED.
 *
 * The program leads a process group of its own. When it has exited, whatever is
 * left of the group is killed. A program that moves its children to other
 * groups or sessions is beyond that reach.
 */
#ifndef REDIAL_SERVER_PLUGINS_EXEC_EXEC_CONFIG_H
#define REDIAL_SERVER_PLUGINS_EXEC_EXEC_CONFIG_H

#include "server/plugins/settings.h"
#include <redial/status.h>

struct exec_config {
    struct setting_list argv;
    struct setting_list inherit_env;
    struct setting_map env;
    struct setting_map codes;
    char *cwd;
    char *content_type;
    int64_t output_bytes_max;
    int64_t stderr_bytes_max;
    int64_t grace_ms;
};

/* Reads it; false with complaints. Clear it in both cases. */
bool
exec_config_read(struct exec_config *config, const char *json, size_t len,
                 struct setting_error *error);

void
exec_config_clear(struct exec_config *config);

/* Room for a reason such as SIGNAL_11. */
enum { EXEC_REASON_BYTES = 24 };

/*
 * What a wait status (as from waitpid) of a program means, and the reason (""
 * if it exited with 0).
 */
enum redial_status
exec_code(const struct exec_config *config, int wait_status,
          char ret_reason[EXEC_REASON_BYTES]);

/* What it means that a program could not be started: an errno value. */
enum redial_status
exec_spawn_code(const struct exec_config *config, int error,
                char ret_reason[EXEC_REASON_BYTES]);

#endif

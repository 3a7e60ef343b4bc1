/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of verbs: dispatch, help, completion and the manual's test come
 * from it.
 */
#ifndef REDIAL_CLIENT_CLI_VERB_H
#define REDIAL_CLIENT_CLI_VERB_H

#include "client/cli/args.h"
#include "client/cli/exit.h"

struct cli;

struct verb {
    const char *name;  /* "show", or two words: "policy check" */
    const char *words; /* what follows it: "SERVICE/METHOD" */
    size_t words_min;
    size_t words_max;
    uint64_t options;     /* of its own, beside VERB_COMMON */
    const char *summary;  /* one line */
    const char *details;  /* lines, or "" */
    const char *examples; /* lines */
    enum exit_code (*run)(struct cli *cli);
};

/* Options of every verb. */
#define VERB_COMMON                                                      \
    (OPTION_BIT(ADDRESS) | OPTION_BIT(TIMEOUT) | OPTION_BIT(JSON) |      \
     OPTION_BIT(VERBOSE) | OPTION_BIT(TOKEN_FILE) | OPTION_BIT(TLS_CA) | \
     OPTION_BIT(TLS_CERT) | OPTION_BIT(TLS_NAME) | OPTION_BIT(HELP))

extern const struct verb verbs[];
extern const size_t verb_count;

/* The first word of verbs that have two. */
struct verb_group {
    const char *name;
    const char *summary; /* one line */
};

extern const struct verb_group verb_groups[];
extern const size_t verb_group_count;

/* NULL: no such verb. */
const struct verb *
verb_find(const char *name);

/* NULL: no such group. */
const struct verb_group *
verb_find_group(const char *name);

/* The second word of a verb of this group; NULL: it is of another or none. */
const char *
verb_second_word(const struct verb *verb, const struct verb_group *group);

/* ---- What they do: submit.c, await.c and so on -------------------------- */

enum exit_code
verb_submit(struct cli *cli);

enum exit_code
verb_call(struct cli *cli);

enum exit_code
verb_await(struct cli *cli);

enum exit_code
verb_show(struct cli *cli);

enum exit_code
verb_list(struct cli *cli);

enum exit_code
verb_cancel(struct cli *cli);

enum exit_code
verb_events(struct cli *cli);

enum exit_code
verb_watch(struct cli *cli);

enum exit_code
verb_health(struct cli *cli);

enum exit_code
verb_stats(struct cli *cli);

enum exit_code
verb_reload(struct cli *cli);

enum exit_code
verb_budget(struct cli *cli);

enum exit_code
verb_policy_check(struct cli *cli);

enum exit_code
verb_policy_explain(struct cli *cli);

enum exit_code
verb_policy_simulate(struct cli *cli);

enum exit_code
verb_version(struct cli *cli);

enum exit_code
verb_completion(struct cli *cli);

enum exit_code
verb_help(struct cli *cli);

#endif

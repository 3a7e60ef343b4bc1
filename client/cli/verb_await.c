/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/verb.h"
#include "client/cli/wait.h"
#include "proto/limits.h"
#include "proto/uuid.h"

#include <string.h>

/* Names from the command line, each once. */
static bool
add_name(const char **names, size_t *count, const char *name)
{
    for (size_t i = 0; i < *count; i++) {
        if (strcmp(names[i], name) == 0) {
            return false;
        }
    }
    names[(*count)++] = name;
    return true;
}

static bool
take_names(struct wait *wait, const struct args *args)
{
    struct wire_uuid uuid;

    for (size_t i = 0; i < args->word_count; i++) {
        if (!wire_uuid_parse(args->words[i], strlen(args->words[i]), &uuid)) {
            (void)cli_usage(wait->cli,
                            "\"%.100s\" is not the id of a job (a UUID); a "
                            "key is given with --key",
                            args->words[i]);
            return false;
        }
        (void)add_name(wait->ids, &wait->id_count, args->words[i]);
    }
    for (size_t i = 0; i < args_count(args, OPTION_KEYS); i++) {
        (void)add_name(wait->keys, &wait->key_count,
                       args_nth(args, OPTION_KEYS, i));
    }
    return true;
}

enum exit_code
verb_await(struct cli *cli)
{
    const struct args *args = cli->args;
    const char *correlation_id = args_get(args, OPTION_CORRELATION_ID);
    size_t names = args->word_count + args_count(args, OPTION_KEYS);
    struct wait wait;
    enum exit_code code;

    if (names == 0 && correlation_id == NULL) {
        return cli_usage(cli, "name the jobs: ids, --key or --correlation-id");
    }
    if (names > 0 && correlation_id != NULL) {
        return cli_usage(cli,
                         "--correlation-id stands alone, without ids and keys");
    }
    if (names > WIRE_AWAIT_IDS_MAX) {
        return cli_usage(cli, "%zu jobs are too many, at most %u", names,
                         WIRE_AWAIT_IDS_MAX);
    }
    if (!wait_init(&wait, cli, names)) {
        return EXIT_INTERNAL;
    }
    wait.correlation_id = correlation_id;
    wait.tenant = args_get(args, OPTION_TENANT);
    code = take_names(&wait, args) ? wait_run(&wait) : EXIT_USAGE;
    wait_fini(&wait);
    return code;
}

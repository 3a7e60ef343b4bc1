/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin: a shared object that redial-plugin-host runs for the gateway. This
 * one counts the words of a text. In the gateway's configuration:
 *
 *     "plugins": [{
 *       "name": "words",
 *       "plugin": "/usr/local/lib/redial/example-plugin.so",
 *       "concurrency": 4,
 *       "methods": [{ "service": "text.Words", "method": "Count" }]
 *     }]
 *
 * Should it crash, the gateway sees a lost worker and starts a new host;
 * nothing else is touched.
 */
#include <redial/plugin.h>

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct words {
    const struct redial_plugin_host *host;
};

static enum redial_status
words_open(const struct redial_plugin_options *options, char *error,
           size_t error_size, void **ret_state)
{
    struct words *words;

    if (strcmp(options->config, "{}") != 0) {
        (void)snprintf(error, error_size, "there is nothing to configure");
        return REDIAL_INVALID_ARGUMENT;
    }
    words = malloc(sizeof(*words));
    if (words == NULL) {
        return REDIAL_RESOURCE_EXHAUSTED;
    }
    words->host = options->host;
    *ret_state = words;
    return REDIAL_OK;
}

static size_t
count_words(const unsigned char *text, size_t len)
{
    size_t count = 0;
    bool inside = false;

    for (size_t i = 0; i < len; i++) {
        bool space = isspace(text[i]) != 0;

        count += !space && !inside ? 1 : 0;
        inside = !space;
    }
    return count;
}

/* One attempt, on a thread of the host's. Must complete before it returns. */
static void
words_invoke(void *state, struct redial_plugin_call call,
             const struct redial_plugin_attempt *attempt)
{
    const struct words *words = state;
    struct redial_plugin_outcome outcome = {.struct_size = sizeof(outcome)};
    char number[32];
    int len = snprintf(number, sizeof(number), "%zu\n",
                       count_words(attempt->payload, attempt->payload_bytes));

    outcome.result = number;
    outcome.result_bytes = (size_t)len;
    outcome.content_type = "text/plain";
    (void)words->host->complete(words->host->ctx, call, &outcome);
}

static void
words_close(void *state)
{
    free(state);
}

static const struct redial_plugin table = {
    .struct_size = sizeof(table),
    .abi = REDIAL_PLUGIN_ABI,
    .name = "words",
    .open = words_open,
    .invoke = words_invoke,
    .close = words_close,
};

REDIAL_API const struct redial_plugin *
redial_plugin_v1(void)
{
    return &table;
}

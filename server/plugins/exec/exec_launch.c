/* SPDX-License-Identifier: Apache-2.0 */
#include "server/plugins/exec/exec_launch.h"

#include "server/plugins/job_field.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { TEXTS_BYTES_MAX = 1048576 };

static const char *const inherited_by_default[] = {
    "PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER", NULL};

/* From metadata to variables, as tracing libraries know them. */
static const struct {
    const char *key;
    const char *variable;
} traces[] = {{"traceparent", "TRACEPARENT"}, {"tracestate", "TRACESTATE"}};

static void
add_variable(struct bytes *texts, const char *name, const void *value,
             size_t value_len)
{
    const char *nul = memchr(value, '\0', value_len);
    size_t len = nul == NULL ? value_len : (size_t)(nul - (const char *)value);
    bytes_append(texts, name, strlen(name));
    bytes_append_byte(texts, '=');
    bytes_append(texts, value, len);
    bytes_append_byte(texts, '\0');
}

static uint32_t
add_inherited(struct bytes *texts, const struct exec_config *config)
{
    bool given = config->inherit_env.items != NULL;
    uint32_t count = 0;
    for (uint32_t i = 0;; i++) {
        const char *name = given ? config->inherit_env.items[i]
                                 : inherited_by_default[i];
        if (name == NULL) {
            return count;
        }
        const char *value = getenv(name);
        if (value != NULL) {
            add_variable(texts, name, value, strlen(value));
            count++;
        }
    }
}

static uint32_t
add_job(struct bytes *texts, const struct redial_plugin_attempt *attempt)
{
    uint32_t count = 0;
    for (const char *field = job_field_name(0); field != NULL;
         field = job_field_name(count)) {
        char name[64] = "REDIAL_";
        for (size_t i = 7; i + 1 < sizeof(name) && field[i - 7] != '\0'; i++) {
            name[i] = (char)toupper((unsigned char)field[i - 7]);
        }
        char buf[JOB_FIELD_NUMBER_BYTES];
        const char *value = job_field_value(count, attempt, buf);
        add_variable(texts, name, value, strlen(value));
        count++;
    }
    for (size_t i = 0; i < sizeof(traces) / sizeof(traces[0]); i++) {
        const struct redial_plugin_metadata *entry = job_field_metadata(
            attempt, traces[i].key);
        if (entry != NULL) {
            add_variable(texts, traces[i].variable, entry->value,
                         entry->value_bytes);
            count++;
        }
    }
    return count;
}

/* Points to each of the texts; the buffer must not grow any more. */
static char **
point_to(char *texts, uint32_t count, char **ret_end)
{
    char **pointers = calloc((size_t)count + 1, sizeof(char *));
    for (uint32_t i = 0; pointers != NULL && i < count; i++) {
        pointers[i] = texts;
        texts += strlen(texts) + 1;
    }
    *ret_end = texts;
    return pointers;
}

enum exec_launch_verdict
exec_launch_init(struct exec_launch *launch, const struct exec_config *config,
                 const struct redial_plugin_attempt *attempt,
                 const char **ret_field)
{
    memset(launch, 0, sizeof(*launch));
    bytes_init(&launch->texts, TEXTS_BYTES_MAX);
    for (uint32_t i = 0; i < config->argv.count; i++) {
        if (job_field_fill(config->argv.items[i], JOB_FIELD_ARGUMENT, attempt,
                           &launch->texts, ret_field) == JOB_FIELD_REFUSED) {
            return EXEC_LAUNCH_REFUSED;
        }
    }
    /* Readers take the first of a name: the job, the configuration, ours. */
    uint32_t count = add_job(&launch->texts, attempt);
    for (uint32_t i = 0; i < config->env.count; i++) {
        add_variable(&launch->texts, config->env.keys[i], config->env.values[i],
                     strlen(config->env.values[i]));
    }
    count += config->env.count + add_inherited(&launch->texts, config);
    if (launch->texts.failed) {
        return EXEC_LAUNCH_NO_MEMORY;
    }
    char *texts = (char *)launch->texts.at;
    launch->argv = point_to(texts, config->argv.count, &texts);
    launch->envp = point_to(texts, count, &texts);
    return launch->argv == NULL || launch->envp == NULL ? EXEC_LAUNCH_NO_MEMORY
                                                        : EXEC_LAUNCH_OK;
}

void
exec_launch_fini(struct exec_launch *launch)
{
    free(launch->argv);
    free(launch->envp);
    bytes_fini(&launch->texts);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "server/app/reload.h"

#include "server/app/gateway.h"

#include <stdio.h>
#include <string.h>

enum { TEXT_BYTES_MAX = 1 << 20 };

static void
put(struct bytes *out, const char *string)
{
    bytes_append(out, string, strlen(string));
}

void
reload_note(struct gateway *gateway, enum event_type type, struct text text)
{
    struct engine_input input = {
        .type = ENGINE_GATEWAY,
        .gateway = {.type = type, .text = text},
    };

    pipeline_step(gateway, &input, (struct text){NULL, 0});
}

void
reload_policy_text(const struct gateway *gateway, struct bytes *out)
{
    char version[48];

    (void)snprintf(version, sizeof(version),
                   "policy version %u: ", gateway->policy_version);
    put(out, version);
    config_policy_print(gateway->config, out);
}

static struct text
text_of_bytes(const struct bytes *bytes)
{
    return (struct text){(const char *)bytes->at, (uint32_t)bytes->len};
}

static void
describe(const struct config_report *report, enum config_severity severity,
         struct bytes *out)
{
    for (size_t i = 0; i < report->count; i++) {
        const struct config_issue *issue = &report->issues[i];

        if (issue->severity == severity) {
            put(out, issue->path);
            put(out, " ");
            put(out, issue->found);
            put(out, "; ");
        }
    }
}

static bool
refuse(struct gateway *gateway, const struct config_report *report)
{
    struct bytes text;

    bytes_init(&text, TEXT_BYTES_MAX);
    put(&text, "refused, the old configuration stays: ");
    describe(report, CONFIG_ERROR, &text);
    describe(report, CONFIG_RESTART, &text);
    reload_note(gateway, EVENT_GATEWAY_RELOADED, text_of_bytes(&text));
    log_eventf(LOG_RELOAD_REFUSED, "%.*s", (int)text.len, (char *)text.at);
    bytes_fini(&text);
    return false;
}

bool
reload(struct gateway *gateway, struct config_report *report)
{
    struct config *old = gateway->config;
    struct config *fresh = NULL;
    struct engine_input input = {.type = ENGINE_POLICY};
    struct bytes text;

    gateway->sources.policy_version = gateway->policy_version + 1;
    if (config_load(&gateway->sources, &fresh, report) != REDIAL_OK) {
        return refuse(gateway, report);
    }
    if (!config_diff(old, fresh, report)) {
        config_free(fresh);
        return refuse(gateway, report);
    }
    gateway->policy_version++;
    gateway->config = fresh;
    log_set_level((enum config_log_level)fresh->log_level);
    input.policy = config_policy(fresh);
    pipeline_step(gateway, &input, (struct text){NULL, 0});
    config_free(old);
    bytes_init(&text, TEXT_BYTES_MAX);
    describe(report, CONFIG_CHANGE, &text);
    log_eventf(LOG_RELOADED, "%.*s", (int)text.len, (char *)text.at);
    reload_policy_text(gateway, &text);
    reload_note(gateway, EVENT_GATEWAY_RELOADED, text_of_bytes(&text));
    bytes_fini(&text);
    return true;
}

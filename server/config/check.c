/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold between parameters. Each is checked as it comes out in the
 * end, whichever sources it came from.
 */
#include "server/config/loader.h"
#include "server/config/report.h"

#include <stdio.h>
#include <string.h>

/* Room for a message's other fields beside its payload. */
enum { FRAME_MARGIN_BYTES = 65536 };

static uint64_t
number_of(const struct config *config, const struct param *param)
{
    const char *at = (const char *)config + param->offset;

    if (param->type == PARAM_TYPE_U32) {
        return *(const uint32_t *)(const void *)at;
    }
    return *(const uint64_t *)(const void *)at;
}

static void
report_param(struct loader *loader, const struct param *param,
             enum config_severity severity, const char *text)
{
    const struct origin *origin = &loader->origins[param - param_table];
    struct bytes found;

    bytes_init(&found, SPOT_PATH_BYTES);
    param_print(param, loader->config, &found);
    (void)bytes_append_byte(&found, 0);
    report_add(loader->report,
               &(struct config_issue){
                   .severity = severity,
                   .source = origin->source,
                   .line = origin->line,
                   .path = param->path,
                   .found = found.failed ? "" : (const char *)found.at,
                   .allowed = text,
               });
    bytes_fini(&found);
}

/* Pairs of which the first must be at least the second and the margin. */
static const struct {
    const char *greater;
    const char *less;
    uint64_t margin;
} orders[] = {
    {"worker.silence", "worker.heartbeat", 1},
    {"worker.lease", "worker.heartbeat", 1},
    {"limits.frameBytesMax", "limits.guestFrameBytesMax", 0},
    {"limits.frameBytesMax", "limits.payloadBytesMax", FRAME_MARGIN_BYTES},
    {"limits.frameBytesMax", "limits.resultBytesMax", FRAME_MARGIN_BYTES},
    {"limits.queuedBytesMax", "limits.frameBytesMax", 0},
    {"limits.unprocessedBytesMax", "limits.frameBytesMax", 0},
    {"limits.bufferBytesMax", "limits.queuedBytesMax", 0},
    {"limits.bufferBytesMax", "limits.unprocessedBytesMax", 0},
    {"limits.memoryPayloadBytesMax", "limits.payloadBytesMax", 0},
    {"limits.livePayloadBytesMax", "limits.payloadBytesMax", 0},
};

static void
check_orders(struct loader *loader)
{
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        const struct param *greater = param_find(orders[i].greater);
        const struct param *less = param_find(orders[i].less);
        char text[160];

        if (number_of(loader->config, greater) >=
            number_of(loader->config, less) + orders[i].margin) {
            continue;
        }
        if (orders[i].margin == FRAME_MARGIN_BYTES) {
            (void)snprintf(text, sizeof(text), "at least %s and 64KiB more",
                           less->path);
        } else {
            (void)snprintf(text, sizeof(text), "%s %s",
                           orders[i].margin == 0 ? "at least" : "more than",
                           less->path);
        }
        report_param(loader, greater, CONFIG_ERROR, text);
    }
}

static void
check_default_policy(struct loader *loader)
{
    const struct config *config = loader->config;
    const struct param *codes = param_find(
        "defaultPolicy.retryableStatusCodes");
    const struct origin *origin = &loader->origins[codes - param_table];

    if (config->default_policy_max_attempts > config->max_attempts_limit) {
        report_param(loader, param_find("defaultPolicy.maxAttempts"),
                     CONFIG_WARNING, "cut to maxAttemptsLimit");
    }
    if (config->default_policy_max_backoff_ms <
        config->default_policy_initial_backoff_ms) {
        report_param(loader, param_find("defaultPolicy.maxBackoff"),
                     CONFIG_WARNING,
                     "less than initialBackoff: every wait is this long");
    }
    loader_warn_codes(loader,
                      &(struct config_issue){
                          .source = origin->source,
                          .line = origin->line,
                          .path = codes->path,
                      },
                      config->default_policy_retryable_status_codes);
}

void
loader_check(struct loader *loader)
{
    check_orders(loader);
    check_default_policy(loader);
}

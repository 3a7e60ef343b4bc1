/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Budgets and Explain: what stands between failures and retries now. Both read
 * the engine and change nothing. The cursor of Budgets is the number of the
 * target to go on with.
 */
#include "server/app/gateway.h"
#include "server/app/services.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIELD_BUDGETS = 1, /* of BudgetsResponse */
    BUDGETS_DEFAULT = 100,
    BUDGETS_MAX = 1000,
};

/* ---- Budgets ----------------------------------------------------------- */

static void
refuse(struct gateway *gateway, struct rpc_call *call,
       enum redial_status status, const char *text)
{
    pipeline_reply(gateway, rpc_build_error(call, status, NULL, 0, "%s", text));
}

static bool
take_cursor(const char *cursor, uint32_t *ret_index)
{
    char *end = NULL;

    *ret_index = 0;
    if (cursor == NULL || cursor[0] == '\0') {
        return true;
    }
    unsigned long index = strtoul(cursor, &end, 10);

    if (cursor[0] < '0' || cursor[0] > '9' || *end != '\0' ||
        index > UINT32_MAX) {
        return false;
    }
    *ret_index = (uint32_t)index;
    return true;
}

static bool
is_wanted(const Redial__V1__BudgetsRequest *request,
          const struct engine_target_stats *stats)
{
    struct text wanted = text_of(request->target);

    return stats->name.len > 0 &&
           (wanted.len == 0 ||
            (wanted.len == stats->name.len &&
             memcmp(wanted.at, stats->name.at, wanted.len) == 0));
}

void
budgets_start(struct gateway *gateway, struct rpc_call *call,
              const Redial__V1__BudgetsRequest *request)
{
    Redial__V1__BudgetsResponse rest = REDIAL__V1__BUDGETS_RESPONSE__INIT;
    struct engine_target_stats stats;
    uint32_t max = request->max == 0            ? BUDGETS_DEFAULT
                   : request->max > BUDGETS_MAX ? BUDGETS_MAX
                                                : request->max;
    uint32_t count = 0;
    uint32_t index;
    char cursor[16] = "";
    struct bytes body;

    if (!take_cursor(request->cursor, &index)) {
        refuse(gateway, call, REDIAL_INVALID_ARGUMENT,
               "cursor is none that an answer gave");
        return;
    }
    bytes_init(&body, WIRE_FRAME_BYTES_MAX);
    for (; engine_target_stats(gateway->engine, gateway->now, index, &stats);
         index++) {
        if (!is_wanted(request, &stats)) {
            continue;
        }
        if (count == max) {
            (void)snprintf(cursor, sizeof(cursor), "%" PRIu32, index);
            break;
        }
        codec_put_budget(&body, FIELD_BUDGETS, &stats, &gateway->scratch);
        count++;
    }
    if (count == 0 && text_of(request->target).len > 0) {
        refuse(gateway, call, REDIAL_NOT_FOUND,
               "no such target: no method that names it was used");
    } else {
        rest.cursor = cursor;
        size_t len = protobuf_c_message_get_packed_size(&rest.base);
        uint8_t *at = bytes_reserve(&body, len);

        if (at != NULL) {
            bytes_commit(&body, protobuf_c_message_pack(&rest.base, at));
        }
        pipeline_reply(gateway, rpc_build_packed(call, body.at, body.len));
    }
    bytes_fini(&body);
}

/* ---- Explain ----------------------------------------------------------- */

void
explain_start(struct gateway *gateway, struct rpc_call *call,
              const Redial__V1__ExplainRequest *request)
{
    struct explain_input input;
    struct explain explain;
    struct codec_explain answer;
    struct wire_error error;
    struct job_id job;
    bool has_job = false;
    enum redial_status status = codec_explain_input(request, &input, &job,
                                                    &has_job, &error);

    if (status != REDIAL_OK) {
        refuse(gateway, call, status, error.text);
        return;
    }
    if (has_job) {
        input.slot = engine_find(gateway->engine, job);
    }
    if ((has_job && input.slot == ENGINE_NO_SLOT) ||
        !engine_explain(gateway->engine, gateway->now, &input, &explain)) {
        refuse(gateway, call, REDIAL_NOT_FOUND,
               "no such live job: it never was, or it has ended");
        return;
    }
    codec_explain(&explain, &answer);
    pipeline_reply(gateway, rpc_build(call, &answer.response.base));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config/hedge.h"

#include "server/config/report.h"

static void
warn_of_hedging(struct loader *loader, const struct spot *spot,
                const struct fields *fields, const struct policy_entry *entry)
{
    struct spot attempts = field_spot(spot, fields,
                                      FIELD_HEDGING_POLICY_MAX_ATTEMPTS);

    struct spot codes = field_spot(spot, fields,
                                   FIELD_HEDGING_POLICY_NON_FATAL_STATUS_CODES);

    retry_warn_codes(loader, &codes, entry->policy.retry.retryable_codes);
    if (entry->policy.retry.attempts_clamped) {
        report_warning(loader->report, &attempts,
                       "cut to maxAttemptsLimit, which is %u",
                       (unsigned)entry->policy.retry.max_attempts);
    }
    if (entry->policy.idempotency != IDEMPOTENCY_YES) {
        report_warning(loader->report, spot,
                       "without \"idempotent\": true beside it, jobs that do "
                       "not say so themselves are not hedged");
    }
}

void
hedge_read(struct loader *loader, const struct spot *spot,
           struct policy_entry *entry)
{
    struct config_report *report = loader->report;
    struct retry_policy *retry = &entry->policy.retry;
    struct fields fields;

    if (!object_read(report, spot, OBJECT_HEDGING_POLICY, &fields)) {
        return;
    }
    entry->policy.hedged = true;
    if (field_integer(report, spot, &fields, FIELD_HEDGING_POLICY_MAX_ATTEMPTS,
                      &entry->asked)) {
        retry_limit(loader->config, entry->asked, retry);
    }
    (void)field_duration(report, spot, &fields,
                         FIELD_HEDGING_POLICY_HEDGING_DELAY,
                         &entry->policy.hedging_delay_ms);
    (void)field_codes(report, spot, &fields,
                      FIELD_HEDGING_POLICY_NON_FATAL_STATUS_CODES,
                      &retry->retryable_codes);
    warn_of_hedging(loader, spot, &fields, entry);
}

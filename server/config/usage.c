/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config/usage.h"

#include "server/config/report.h"

static void
read_rate_object(struct config_report *report, const struct spot *spot,
                 struct limit_policy *limits)
{
    struct fields fields;

    if (!object_read(report, spot, OBJECT_RATE, &fields)) {
        return;
    }
    struct spot second = field_spot(spot, &fields, FIELD_RATE_PER_SECOND);
    struct spot minute = field_spot(spot, &fields, FIELD_RATE_PER_MINUTE);

    if ((second.node != NULL) == (minute.node != NULL)) {
        report_error(report, spot, "either perSecond or perMinute");
    }
    if (field_integer(report, spot, &fields, FIELD_RATE_PER_SECOND,
                      &limits->rate)) {
        limits->rate_period_ms = USAGE_SECOND_MS;
    }
    if (field_integer(report, spot, &fields, FIELD_RATE_PER_MINUTE,
                      &limits->rate)) {
        limits->rate_period_ms = USAGE_MINUTE_MS;
    }
    (void)field_integer(report, spot, &fields, FIELD_RATE_BURST,
                        &limits->burst);
}

static void
read_rate(struct config_report *report, const struct spot *parent,
          const struct fields *fields, struct limit_policy *limits)
{
    struct spot spot = field_spot(parent, fields, FIELD_USAGE_RATE);

    if (spot.node == NULL) {
        return;
    }
    if (cJSON_IsObject(spot.node)) {
        read_rate_object(report, &spot, limits);
    } else if (cJSON_IsNumber(spot.node)) {
        if (field_integer(report, parent, fields, FIELD_USAGE_RATE,
                          &limits->rate)) {
            limits->rate_period_ms = USAGE_SECOND_MS;
        }
    } else {
        char range[READ_RANGE_BYTES];

        field_range(FIELD_USAGE_RATE, range);
        report_error(report, &spot, "%s", range);
    }
}

void
usage_read(struct config_report *report, const struct spot *spot,
           struct limit_policy *limits)
{
    struct fields fields;

    if (!object_read(report, spot, OBJECT_USAGE, &fields)) {
        return;
    }
    (void)field_integer(report, spot, &fields, FIELD_USAGE_CONCURRENCY,
                        &limits->concurrency);
    read_rate(report, spot, &fields, limits);
    (void)field_integer(report, spot, &fields, FIELD_USAGE_QUEUE,
                        &limits->queue);
}

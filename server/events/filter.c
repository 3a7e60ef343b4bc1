/* SPDX-License-Identifier: Apache-2.0 */
#include "server/events/filter.h"

#include "server/base/hash.h"
#include "server/events/tail.h"

#include <stdlib.h>
#include <string.h>

static const struct hash_key any_key = {{0, 0}};

uint64_t
filter_hash_correlation(struct text correlation)
{
    uint64_t hash;

    if (correlation.len == 0) {
        return 0;
    }
    hash = hash_64(&any_key, correlation.at, correlation.len);
    return hash == 0 ? 1 : hash;
}

uint64_t
filter_hash_method(struct text service, struct text method)
{
    return hash_64(&any_key, service.at, service.len) * 31 +
           hash_64(&any_key, method.at, method.len);
}

void
filter_init(struct filter *filter)
{
    *filter = (struct filter){.has_types = false};
}

void
filter_fini(struct filter *filter)
{
    free(filter->jobs);
    filter->jobs = NULL;
}

/* "job.succeeded" is in the group "job". */
static bool
is_in_group(const char *type, struct text group)
{
    return strncmp(type, group.at, group.len) == 0 &&
           (type[group.len] == '.' || type[group.len] == '\0');
}

bool
filter_add_type(struct filter *filter, struct text name)
{
    static const enum event_type types[] = {
#define EVENT(name, number, string, about_job) EVENT_##name,
#include "server/core/event.def"
#undef EVENT
    };
    bool found = false;

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        unsigned number = (unsigned)types[i];

        if (name.len > 0 && is_in_group(event_type_name(types[i]), name)) {
            filter->types[number / 64] |= UINT64_C(1) << (number % 64);
            found = true;
        }
    }
    filter->has_types = filter->has_types || found;
    return found;
}

bool
filter_add_job(struct filter *filter, struct job_id job)
{
    struct job_id *jobs;

    if (filter->job_count == FILTER_JOBS_MAX) {
        return false;
    }
    jobs = realloc(filter->jobs, (filter->job_count + 1) * sizeof(*jobs));
    if (jobs == NULL) {
        return false;
    }
    jobs[filter->job_count] = job;
    filter->jobs = jobs;
    filter->job_count++;
    return true;
}

static int
compare_jobs(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct job_id));
}

static struct text
text_of_name(const char *name)
{
    return (struct text){name, (uint32_t)strlen(name)};
}

void
filter_seal(struct filter *filter, const struct job_id *correlation_job)
{
    if (filter->job_count > 0) {
        qsort(filter->jobs, filter->job_count, sizeof(struct job_id),
              compare_jobs);
    }
    filter->correlation_hash = filter_hash_correlation(
        text_of_name(filter->correlation));
    if (filter->service[0] != '\0' && filter->method[0] != '\0') {
        filter->method_hash = filter_hash_method(text_of_name(filter->service),
                                                 text_of_name(filter->method));
    }
    if (correlation_job != NULL) {
        filter->correlation_is_id = true;
        filter->correlation_job = *correlation_job;
    }
}

static bool
has_type(const struct filter *filter, enum event_type type)
{
    unsigned number = (unsigned)type;

    return !filter->has_types ||
           (filter->types[number / 64] >> (number % 64) & 1) != 0;
}

static bool
has_job(const struct filter *filter, const struct job_id *job)
{
    return filter->job_count == 0 ||
           bsearch(job, filter->jobs, filter->job_count, sizeof(*job),
                   compare_jobs) != NULL;
}

/* A job without a correlation id of its own is known by its id. */
static bool
is_correlated_by_id(const struct filter *filter, const struct job_id *job)
{
    return filter->correlation_is_id &&
           memcmp(job, &filter->correlation_job, sizeof(*job)) == 0;
}

bool
filter_may_match(const struct filter *filter, const struct tail_entry *entry)
{
    if (!has_type(filter, entry->type)) {
        return false;
    }
    if (filter->correlation_hash != 0 &&
        entry->correlation_hash != filter->correlation_hash &&
        !(entry->correlation_hash == 0 &&
          is_correlated_by_id(filter, &entry->job))) {
        return false;
    }
    if (filter->method_hash != 0 && entry->method_hash != filter->method_hash) {
        return false;
    }
    return has_job(filter, &entry->job);
}

static bool
is_or_any(const char *wanted, struct text found)
{
    size_t len = strlen(wanted);

    return len == 0 || (len == found.len && memcmp(wanted, found.at, len) == 0);
}

bool
filter_matches(const struct filter *filter, const struct record *record)
{
    bool correlated = is_or_any(filter->correlation, record->correlation) ||
                      (record->correlation.len == 0 && record->job_seq > 0 &&
                       is_correlated_by_id(filter, &record->job));

    return has_type(filter, record->type) && correlated &&
           is_or_any(filter->service, record->service) &&
           is_or_any(filter->method, record->method) &&
           is_or_any(filter->tenant, record->tenant) &&
           has_job(filter, &record->job);
}

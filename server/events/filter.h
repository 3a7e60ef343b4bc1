/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which events a watcher wants. All parts that are given must match; within
 * the jobs and within the types, one must.
 *
 * A filter is looked at twice: filter_may_match() on what the tail keeps of a
 * record (hashes, so it may say yes too often), then filter_matches() on the
 * decoded record. Pure.
 */
#ifndef REDIAL_SERVER_EVENTS_FILTER_H
#define REDIAL_SERVER_EVENTS_FILTER_H

#include "server/core/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tail_entry;

enum {
    FILTER_TYPES_MAX = 128, /* event numbers are below */
    FILTER_JOBS_MAX = 1000,
    FILTER_NAME_BYTES = 129,
};

struct filter {
    char correlation[FILTER_NAME_BYTES]; /* empty: any, as all others */
    char service[FILTER_NAME_BYTES];
    char method[FILTER_NAME_BYTES];
    char tenant[FILTER_NAME_BYTES];
    bool has_types;
    uint64_t types[FILTER_TYPES_MAX / 64]; /* bit per event number */
    struct job_id *jobs;                   /* owned, sorted; NULL: any */
    size_t job_count;

    /* Derived by filter_seal(). */
    uint64_t correlation_hash;
    uint64_t method_hash;   /* with service and method only */
    bool correlation_is_id; /* it could be a job's own id */
    struct job_id correlation_job;
};

/* Makes an empty filter, which matches everything. */
void
filter_init(struct filter *filter);

void
filter_fini(struct filter *filter);

/*
 * Adds a type by name ("job.succeeded"), or a group of them ("job"). False: no
 * such type.
 */
bool
filter_add_type(struct filter *filter, struct text name);

/* False: FILTER_JOBS_MAX are there, or no memory. */
bool
filter_add_job(struct filter *filter, struct job_id job);

/*
 * Call once, when all parts are set. `correlation_job`: the id that the
 * correlation id is the text of, or NULL.
 */
void
filter_seal(struct filter *filter, const struct job_id *correlation_job);

bool
filter_may_match(const struct filter *filter, const struct tail_entry *entry);

bool
filter_matches(const struct filter *filter, const struct record *record);

/* 0 for the empty text, which stands for the job's own id. */
uint64_t
filter_hash_correlation(struct text correlation);

uint64_t
filter_hash_method(struct text service, struct text method);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The RPC services, as the generated code wants them: Gateway for agents,
 * Worker for workers, Admin for tools. Each method decodes with net/codec,
 * steps the engine, and answers through the pipeline or parks the call.
 */
#ifndef REDIAL_SERVER_APP_SERVICES_H
#define REDIAL_SERVER_APP_SERVICES_H

#include "server/net/codec.h"

#include <stdbool.h>

struct gateway;
struct rpc_call;

struct gateway_service {
    Redial__V1__Gateway_Service base; /* first */
    struct gateway *gateway;
};

struct worker_service {
    Redial__V1__Worker_Service base; /* first */
    struct gateway *gateway;
};

struct admin_service {
    Redial__V1__Admin_Service base; /* first */
    struct gateway *gateway;
};

void
gateway_service_init(struct gateway_service *service, struct gateway *gateway);

void
worker_service_init(struct worker_service *service, struct gateway *gateway);

void
admin_service_init(struct admin_service *service, struct gateway *gateway);

/*
 * The job that a call names by id or key. False with *ret_problem: the request
 * is wrong; false without: nobody knows it.
 */
bool
service_find(struct gateway *gateway, const char *id, const char *key,
             const char *tenant, struct job_id *ret_id,
             const char **ret_problem);

/* Answers when service_find() said no; returns true then. */
bool
service_refuse_unfound(struct gateway *gateway, struct rpc_call *call,
                       bool found, const char *problem);

/* Submit, in a file of its own. */
void
submit_start(struct gateway *gateway, struct rpc_call *call,
             const Redial__V1__SubmitRequest *request);

/* Await, by ids, keys or a correlation id. */
void
await_start(struct gateway *gateway, struct rpc_call *call,
            const Redial__V1__AwaitRequest *request);

/* Get: one job with its attempts. */
void
get_start(struct gateway *gateway, struct rpc_call *call,
          const Redial__V1__GetRequest *request);

/* Cancel. */
void
cancel_start(struct gateway *gateway, struct rpc_call *call,
             const Redial__V1__CancelRequest *request);

/* Budgets: throttles and budgets as they are now. */
void
budgets_start(struct gateway *gateway, struct rpc_call *call,
              const Redial__V1__BudgetsRequest *request);

/* Explain: what would be decided about a failure, and why. */
void
explain_start(struct gateway *gateway, struct rpc_call *call,
              const Redial__V1__ExplainRequest *request);

/*
 * Stats: all methods and tenants, up to a thousand each. The response points
 * into what is returned (NULL: no memory, and no lists): free it when that is
 * packed.
 */
struct stats_lists;

struct stats_lists *
stats_lists_make(struct gateway *gateway, Redial__V1__StatsResponse *response);

void
stats_lists_free(struct stats_lists *lists);

/* List. */
void
list_start(struct gateway *gateway, struct rpc_call *call,
           const Redial__V1__ListRequest *request);

#endif

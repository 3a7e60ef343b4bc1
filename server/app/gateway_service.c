/* SPDX-License-Identifier: Apache-2.0 */
#include "server/app/gateway.h"
#include "server/app/services.h"

static struct gateway *
gateway_of(Redial__V1__Gateway_Service *service)
{
    return ((struct gateway_service *)(void *)service)->gateway;
}

static void
on_submit(Redial__V1__Gateway_Service *service,
          const Redial__V1__SubmitRequest *input,
          Redial__V1__SubmitResponse_Closure closure, void *call)
{
    (void)closure;
    submit_start(gateway_of(service), call, input);
}

static void
on_await(Redial__V1__Gateway_Service *service,
         const Redial__V1__AwaitRequest *input,
         Redial__V1__AwaitResponse_Closure closure, void *call)
{
    (void)closure;
    await_start(gateway_of(service), call, input);
}

static void
on_get(Redial__V1__Gateway_Service *service,
       const Redial__V1__GetRequest *input,
       Redial__V1__GetResponse_Closure closure, void *call)
{
    (void)closure;
    get_start(gateway_of(service), call, input);
}

static void
on_cancel(Redial__V1__Gateway_Service *service,
          const Redial__V1__CancelRequest *input,
          Redial__V1__CancelResponse_Closure closure, void *call)
{
    (void)closure;
    cancel_start(gateway_of(service), call, input);
}

static void
on_watch(Redial__V1__Gateway_Service *service,
         const Redial__V1__WatchRequest *input,
         Redial__V1__WatchResponse_Closure closure, void *call)
{
    (void)closure;
    watchers_start(gateway_of(service), call, input);
}

void
gateway_service_init(struct gateway_service *service, struct gateway *gateway)
{
    service->base = (Redial__V1__Gateway_Service)REDIAL__V1__GATEWAY__INIT(on_);
    service->gateway = gateway;
}

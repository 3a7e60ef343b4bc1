/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/hint.h"

#include "client/cli/units.h"

#include <string.h>

static const char *
source_words(enum where_source source)
{
    switch (source) {
    case WHERE_OPTION:
        return "from --address";
    case WHERE_ENVIRONMENT:
        return "from REDIAL_ADDRESS";
    case WHERE_DEFAULT:
        break;
    }
    return "the default; another: --address URL or REDIAL_ADDRESS";
}

static void
add_unreachable(struct text *text, const struct hint *hint)
{
    if (strcmp(hint->error->reason, "NOT_CONNECTED") == 0) {
        text_add(text, "  Is the gateway running? Start it with: "
                       "redial-gateway --config FILE\n");
    }
    text_addf(text, "  Address: %s (%s)\n", hint->addresses,
              source_words(hint->source));
    if (strstr(hint->error->text, "ermission") != NULL) {
        text_add(text, "  The socket belongs to another user: run this tool "
                       "as the gateway's user.\n");
    }
}

static void
add_late(struct text *text, const struct hint *hint)
{
    if (hint->job_id != NULL) {
        text_addf(text,
                  "  The job goes on, if the gateway has it: redial await %s\n",
                  hint->job_id);
    } else {
        text_add(text, "  Wait longer with --timeout, or look at: redial "
                       "health\n");
    }
}

/* One line that depends on nothing but the status. */
static const char *
status_line(enum redial_status status)
{
    switch (status) {
    case REDIAL_NOT_FOUND:
        return "Jobs that are done are kept for a while only "
               "(retention.finishedTime). What is live:\n  redial list";
    case REDIAL_ALREADY_EXISTS:
        return "The key belongs to a job with other content. See it with: "
               "redial show --key KEY";
    case REDIAL_UNAUTHENTICATED:
        return "Show a token: --token-file FILE or REDIAL_TOKEN.";
    case REDIAL_PERMISSION_DENIED:
        return "This listener may not do that: use the address of the "
               "listener with the role admin.";
    case REDIAL_UNIMPLEMENTED:
        return "This listener does not serve it, or the gateway is older: use "
               "the address of the\n  listener with the role admin, and see "
               "redial health.";
    case REDIAL_RESOURCE_EXHAUSTED:
        return "A limit is reached: see redial stats, and the limits in the "
               "gateway's configuration.";
    case REDIAL_INTERNAL:
    case REDIAL_DATA_LOSS:
    case REDIAL_UNKNOWN:
        return "The gateway's log says more.";
    case REDIAL_OK:
    case REDIAL_CANCELLED:
    case REDIAL_INVALID_ARGUMENT:
    case REDIAL_DEADLINE_EXCEEDED:
    case REDIAL_FAILED_PRECONDITION:
    case REDIAL_ABORTED:
    case REDIAL_OUT_OF_RANGE:
    case REDIAL_UNAVAILABLE:
        break;
    }
    return NULL;
}

void
hint_add(struct text *text, const struct hint *hint)
{
    enum redial_status status = hint->error->status;
    const char *line = status_line(status);

    if (status == REDIAL_UNAVAILABLE) {
        add_unreachable(text, hint);
    } else if (status == REDIAL_DEADLINE_EXCEEDED) {
        add_late(text, hint);
    } else if (status == REDIAL_INVALID_ARGUMENT) {
        text_addf(text, "  See: redial %s --help\n", hint->verb);
    } else if (status == REDIAL_NOT_FOUND &&
               strcmp(hint->verb, "budget") == 0) {
        text_add(text, "  What targets there are: redial budget\n");
    } else if (line != NULL) {
        text_addf(text, "  %s\n", line);
    }
    if (hint->error->retry_after_ms > 0) {
        text_add(text, "  Come back in ");
        units_add_duration(text, hint->error->retry_after_ms);
        text_add(text, ".\n");
    }
}

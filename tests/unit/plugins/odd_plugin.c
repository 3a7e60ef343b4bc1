/* SPDX-License-Identifier: Apache-2.0 */
/* NOLINTBEGIN(misc-redundant-expression): ODD differs from build to build */
/*
 * Plugins that a host must refuse, or that break the rules. Compiled several
 * times; ODD says in what way. ODD_NONE is a good one, and blocks.
 */
#include <redial/plugin.h>

#include <stdlib.h>
#include <string.h>

enum odd {
    ODD_NONE,       /* returns the payload */
    ODD_ABI,        /* another version */
    ODD_SMALL,      /* fewer fields than version 1 */
    ODD_NULL,       /* no table */
    ODD_INVOKE,     /* no invoke */
    ODD_NAME,       /* no proper name */
    ODD_ENTRY,      /* its entry point has another name (by the compiler) */
    ODD_CRASH_LOAD, /* dies while it is loaded */
    ODD_OPEN,       /* open fails */
    ODD_SILENT,     /* invoke returns without an outcome */
    ODD_LARGER,     /* a later version with more fields */
};

struct larger_table {
    struct redial_plugin table;
    void (*future)(void);
};

static const struct redial_plugin_host *host;

static enum redial_status
odd_open(const struct redial_plugin_options *options, char *error,
         size_t error_size, void **ret_state)
{
    static int state;
    host = options->host;
    if (ODD == ODD_OPEN) {
        const char *text = "the moon is not right";
        size_t len = strlen(text);
        memcpy(error, text, len < error_size ? len + 1 : error_size);
        return REDIAL_FAILED_PRECONDITION;
    }
    *ret_state = &state;
    return REDIAL_OK;
}

static void
odd_invoke(void *state, struct redial_plugin_call call,
           const struct redial_plugin_attempt *attempt)
{
    (void)state;
    struct redial_plugin_outcome outcome = {
        .struct_size = sizeof(outcome),
        .code = REDIAL_OK,
        .result = attempt->payload,
        .result_bytes = attempt->payload_bytes,
    };
    if (ODD != ODD_SILENT) {
        host->complete(host->ctx, call, &outcome);
    }
}

static void
odd_close(void *state)
{
    (void)state;
}

static const struct larger_table table = {
    .table =
        {
            .struct_size = ODD == ODD_SMALL    ? 40
                           : ODD == ODD_LARGER ? sizeof(struct larger_table)
                                               : sizeof(struct redial_plugin),
            .abi = ODD == ODD_ABI ? 2 : REDIAL_PLUGIN_ABI,
            .name = ODD == ODD_NAME ? "two words" : "odd",
            .open = odd_open,
            .invoke = ODD == ODD_INVOKE ? NULL : odd_invoke,
            .close = odd_close,
        },
};

REDIAL_API const struct redial_plugin *
redial_plugin_v1(void)
{
    return ODD == ODD_NULL ? NULL : &table.table;
}

__attribute__((constructor)) static void
crash(void)
{
    if (ODD == ODD_CRASH_LOAD) {
        abort();
    }
}
/* NOLINTEND(misc-redundant-expression) */

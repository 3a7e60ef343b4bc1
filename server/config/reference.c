/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reference page: both tables as Markdown.
 */
#include "server/config/json_out.h"
#include "server/config/object.h"
#include "server/config/param.h"
#include "server/config/read.h"

#include <stdio.h>
#include <string.h>

static void
print(struct bytes *out, const char *text)
{
    (void)bytes_append(out, text, strlen(text));
}

static const char introduction[] =
    "# Configuration reference\n"
    "\n"
    "Made from the gateway's own tables (`redial-gateway --help-config` prints "
    "it). Do\nnot edit it.\n"
    "\n"
    "Sources, a later one wins: built-in defaults, the file `--config` (if not "
    "given:\n`" CONFIG_FILE_DEFAULT
    "`, if it is there), the fragments `conf.d/*.json`\nbeside it in the order "
    "of their names, environment variables, `--set path=value`.\nOf "
    "`listeners`, `retryThrottling`, `budget`, `breaker` and\n"
    "`instanceBreaker` the last source that has them counts; entries of\n"
    "`plugins`, `methodConfig`, `targets` and `tenants` come together from "
    "all\nsources. `redial-gateway --check` names all that is wrong at once; "
    "`--print-config`\nprints what is in force, as a valid file.\n"
    "\n"
    "* A duration is text, seconds with the suffix s, at most nine decimals: "
    "`\"1.5s\"`.\n"
    "* Bytes are a number or text with B, KiB, MiB, GiB or TiB: `\"64KiB\"`.\n"
    "* A status code is a name in any case or a number: `\"UNAVAILABLE\"`, "
    "`14`.\n"
    "* In variables and flags text needs no quotes, and codes are separated "
    "by commas:\n  `REDIAL_DEFAULT_POLICY_RETRYABLE_STATUS_CODES="
    "UNAVAILABLE,ABORTED`. What is an array\n  or an object is JSON. An empty "
    "variable counts as not set.\n"
    "* A file has at most 1 MiB, is UTF-8 without byte order mark, has no "
    "comments, no\n  unknown and no repeated fields.\n"
    "* A secret is never written here: `tls.key` is the path of a file.\n"
    "* \"reload\": a reload is enough. \"restart\": a reload that changes it "
    "is refused.\n";

static void
param_range(const struct param *param, char text[READ_RANGE_BYTES])
{
    switch (param->type) {
    case PARAM_TYPE_U32:
    case PARAM_TYPE_U64:
        read_integer_range(param->min, param->max, text);
        return;
    case PARAM_TYPE_BOOL:
        (void)snprintf(text, READ_RANGE_BYTES, "true or false");
        return;
    case PARAM_TYPE_DURATION:
        read_duration_range(param->min, param->max, text);
        return;
    case PARAM_TYPE_BYTES:
        read_bytes_range(param->min, param->max, text);
        return;
    case PARAM_TYPE_THOUSANDTHS:
        read_thousandths_range(param->min, param->max, text);
        return;
    case PARAM_TYPE_ENUM:
        read_words_range(param->words, text);
        return;
    case PARAM_TYPE_CODES:
        (void)snprintf(text, READ_RANGE_BYTES,
                       "an array of at least one status code");
        return;
    case PARAM_TYPE_NAME:
        (void)snprintf(text, READ_RANGE_BYTES, "a name of at most %u bytes",
                       (unsigned)param->max);
        return;
    case PARAM_TYPE_PATH:
        (void)snprintf(text, READ_RANGE_BYTES,
                       "an absolute path of at most %u bytes",
                       (unsigned)param->max);
        return;
    }
}

static void
print_param(struct bytes *out, const struct param *param)
{
    char variable[PARAM_ENVIRONMENT_BYTES];
    char range[READ_RANGE_BYTES];

    param_environment(param->path, variable);
    param_range(param, range);
    print(out, "\n### `");
    print(out, param->path);
    print(out, "`\n\n");
    print(out, param->sentence);
    print(out, "\n\n* allowed: ");
    print(out, range);
    print(out, "\n* default: `");
    param_print_initial(param, out);
    print(out, "`\n* variable: `");
    print(out, variable);
    print(out, param->when == PARAM_WHEN_RELOAD ? "`\n* takes effect: reload\n"
                                                : "`\n* takes effect: "
                                                  "restart\n");
}

static void
print_field(struct bytes *out, enum field field)
{
    const struct field_row *row = &field_table[field];
    char range[READ_RANGE_BYTES];

    field_range(field, range);
    print(out, "* `");
    print(out, row->name);
    print(out, "`");
    switch (row->status) {
    case FIELD_STATUS_REQUIRED:
        print(out, " (required)");
        break;
    case FIELD_STATUS_OPTIONAL:
        break;
    case FIELD_STATUS_MEANINGLESS:
        print(out, ": accepted with a warning. ");
        print(out, row->sentence);
        print(out, "\n");
        return;
    case FIELD_STATUS_LATER:
        print(out, ": refused, not supported by this version. ");
        print(out, row->sentence);
        print(out, "\n");
        return;
    }
    print(out, ": ");
    print(out, range);
    if (row->kind == FIELD_KIND_OBJECT || row->kind == FIELD_KIND_ARRAY ||
        row->kind == FIELD_KIND_RATE) {
        if (row->detail[0] != '\0') {
            print(out, ", see ");
            print(out, object_table[object_find(row->detail)].json_name);
        }
    }
    print(out, ". ");
    print(out, row->sentence);
    print(out, "\n");
}

void
config_reference_print(struct bytes *out)
{
    print(out, introduction);
    print(out, "\n## Parameters\n");
    for (size_t i = 0; i < PARAM_COUNT; i++) {
        print_param(out, &param_table[i]);
    }
    print(out, "\n## Objects\n");
    for (unsigned object = 0; object < OBJECT_COUNT; object++) {
        print(out, "\n### ");
        print(out, object_table[object].json_name);
        print(out, "\n\n");
        print(out, object_table[object].sentence);
        print(out, "\n\n");
        for (unsigned i = 0; i < FIELD_COUNT; i++) {
            if (field_table[i].object == object) {
                print_field(out, (enum field)i);
            }
        }
    }
}

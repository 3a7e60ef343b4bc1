/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every parameter of the table at, below and above its range, by file and by
 * environment. One side of a range may break a rule between two parameters;
 * such pairs are set together.
 */
#include "proto/limits.h"
#include "server/config/param.h"
#include "server/config/value.h"
#include "tests/unit/config/fixture.h"

#include <ctype.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What must be moved with a parameter so that it may be at an end. */
static const struct {
    const char *path;
    bool at_max;
    const char *with; /* "path=value", apart by spaces */
} companions[] = {
    {"worker.heartbeat", true, "worker.silence=600s worker.lease=3600s"},
    {"worker.silence", false, "worker.heartbeat=0.1s"},
    {"worker.lease", false, "worker.heartbeat=0.5s"},
    {"limits.frameBytesMax", false,
     "limits.payloadBytesMax=1 limits.resultBytesMax=1"},
    {"limits.queuedBytesMax", true, "limits.bufferBytesMax=1GiB"},
    {"limits.queuedBytesMax", false,
     "limits.frameBytesMax=128KiB limits.payloadBytesMax=1 "
     "limits.resultBytesMax=1"},
    {"limits.unprocessedBytesMax", true, "limits.bufferBytesMax=1GiB"},
    {"limits.unprocessedBytesMax", false,
     "limits.frameBytesMax=128KiB limits.payloadBytesMax=1 "
     "limits.resultBytesMax=1"},
    {"limits.memoryPayloadBytesMax", false, "limits.payloadBytesMax=1"},
    {"limits.livePayloadBytesMax", false, "limits.payloadBytesMax=1"},
};

/* The value as the JSON of a file; NAME and PATH: text of that length. */
static void
format_value(const struct param *param, uint64_t number, char *text,
             size_t size)
{
    char duration[VALUE_TEXT_BYTES];

    switch (param->type) {
    case PARAM_TYPE_DURATION:
        value_duration_print(number, duration);
        (void)snprintf(text, size, "'%s'", duration);
        return;
    case PARAM_TYPE_THOUSANDTHS:
        (void)snprintf(text, size, "%.3f", (double)number / 1000);
        return;
    case PARAM_TYPE_BOOL:
        (void)snprintf(text, size, "%s", number != 0 ? "true" : "false");
        return;
    case PARAM_TYPE_NAME:
    case PARAM_TYPE_PATH:
        (void)snprintf(
            text, size, "'%s%0*d'",
            param->type == PARAM_TYPE_PATH && number > 0 ? "/" : "",
            (int)number - (param->type == PARAM_TYPE_PATH && number > 0), 0);
        if (number <= (param->type == PARAM_TYPE_PATH ? 1u : 0u)) {
            (void)snprintf(text, size, "'%s'", number == 0 ? "" : "/");
        }
        return;
    case PARAM_TYPE_U32:
    case PARAM_TYPE_U64:
    case PARAM_TYPE_BYTES:
    case PARAM_TYPE_ENUM:
    case PARAM_TYPE_CODES:
        (void)snprintf(text, size, "%" PRIu64, number);
        return;
    }
}

/* Loads {"group": {"leaf": value}} and the flags. */
static enum redial_status
load_value(struct loaded *loaded, const struct param *param, const char *value,
           const char *with)
{
    char text[8192];
    char flags[512];
    const char *sets[8];
    size_t count = 0;
    char *rest = flags;
    char *flag;

    if (param_group_len(param) > 0) {
        (void)snprintf(text, sizeof(text), "{'%.*s': {'%s': %s}}",
                       (int)param_group_len(param), param->path,
                       param_leaf(param), value);
    } else {
        (void)snprintf(text, sizeof(text), "{'%s': %s}", param->path, value);
    }
    (void)snprintf(flags, sizeof(flags), "%s", with);
    while ((flag = strsep(&rest, " ")) != NULL) {
        if (flag[0] != '\0') {
            sets[count++] = flag;
        }
    }
    folder_write("redial.json", text);
    load_sources(loaded, &(struct config_sources){
                             .file = folder_path("redial.json"),
                             .sets = sets,
                             .set_count = count,
                         });
    return loaded->status;
}

static const char *
companions_of(const struct param *param, bool at_max)
{
    for (size_t i = 0; i < sizeof(companions) / sizeof(companions[0]); i++) {
        if (strcmp(companions[i].path, param->path) == 0 &&
            companions[i].at_max == at_max) {
            return companions[i].with;
        }
    }
    return "";
}

static uint64_t
number_of(const struct param *param, const struct config *config)
{
    const char *at = (const char *)config + param->offset;

    if (param->type == PARAM_TYPE_BOOL) {
        return *(const bool *)(const void *)at;
    }
    if (param->type == PARAM_TYPE_NAME || param->type == PARAM_TYPE_PATH) {
        return strlen(*(const char *const *)(const void *)at);
    }
    if (param->type == PARAM_TYPE_U64 || param->type == PARAM_TYPE_DURATION ||
        param->type == PARAM_TYPE_BYTES) {
        return *(const uint64_t *)(const void *)at;
    }
    return *(const uint32_t *)(const void *)at;
}

/* ENUM and CODES have no ends: see words_and_codes_are_checked(). */
static bool
has_range(const struct param *param)
{
    return param->type != PARAM_TYPE_ENUM && param->type != PARAM_TYPE_CODES;
}

static void
every_parameter_takes_its_ends(void **state)
{
    (void)state;
    for (size_t i = 0; i < PARAM_COUNT; i++) {
        const struct param *param = &param_table[i];

        for (int at_max = 0; has_range(param) && at_max < 2; at_max++) {
            uint64_t number = at_max ? param->max : param->min;
            struct loaded loaded;
            char value[6000];

            format_value(param, number, value, sizeof(value));
            if (load_value(&loaded, param, value,
                           companions_of(param, at_max != 0)) != REDIAL_OK) {
                fail_msg("%s = %s: %s", param->path, value,
                         loaded_report(&loaded));
            }
            assert_int_equal(number_of(param, loaded.config), number);
            loaded_fini(&loaded);
        }
    }
}

static void
assert_refused(const struct param *param, const char *value)
{
    struct loaded loaded;
    char expected[256];

    if (load_value(&loaded, param, value, "") != REDIAL_INVALID_ARGUMENT) {
        fail_msg("%s = %s was accepted", param->path, value);
    }
    (void)snprintf(expected, sizeof(expected), "!%s", param->path);
    assert_string_equal(loaded_issues(&loaded, ""), expected);
    assert_int_equal(loaded.report.issues[0].line, 1);
    loaded_fini(&loaded);
}

static void
no_parameter_takes_more_or_less(void **state)
{
    (void)state;
    for (size_t i = 0; i < PARAM_COUNT; i++) {
        const struct param *param = &param_table[i];
        char value[6000];

        if (!has_range(param) || param->type == PARAM_TYPE_BOOL) {
            continue;
        }
        format_value(param, param->max + 1, value, sizeof(value));
        assert_refused(param, value);
        if (param->min > 0) {
            format_value(param, param->min - 1, value, sizeof(value));
            assert_refused(param, value);
        } else if (param->type == PARAM_TYPE_DURATION) {
            assert_refused(param, "'-1s'");
        } else {
            assert_refused(param, "-1");
        }
    }
}

static void
no_parameter_takes_another_type(void **state)
{
    (void)state;
    for (size_t i = 0; i < PARAM_COUNT; i++) {
        const struct param *param = &param_table[i];

        assert_refused(param, "{}");
        assert_refused(param, "[]");
        assert_refused(param, "null");
        if (param->type != PARAM_TYPE_BOOL) {
            assert_refused(param, "true");
        }
        if (param->type != PARAM_TYPE_NAME) {
            assert_refused(param, "'nonsense'");
        }
        if (param->type != PARAM_TYPE_THOUSANDTHS) {
            assert_refused(param, "1.5");
        }
    }
}

static void
words_and_codes_are_checked(void **state)
{
    struct loaded loaded;
    const struct param *level = param_find("log.level");
    const struct param *codes = param_find(
        "defaultPolicy.retryableStatusCodes");

    (void)state;
    assert_int_equal(load_value(&loaded, level, "'error'", ""), REDIAL_OK);
    assert_int_equal(loaded.config->log_level, CONFIG_LOG_ERROR);
    loaded_fini(&loaded);
    assert_refused(level, "'Error'");
    assert_refused(level, "3");
    assert_int_equal(load_value(&loaded, codes, "['Aborted', 8]", ""),
                     REDIAL_OK);
    assert_int_equal(loaded.config->default_policy_retryable_status_codes,
                     1u << REDIAL_ABORTED | 1u << REDIAL_RESOURCE_EXHAUSTED);
    loaded_fini(&loaded);
}

static void
thousandths_have_three_decimals(void **state)
{
    const struct param *param = param_find("defaultPolicy.backoffMultiplier");
    struct loaded loaded;

    (void)state;
    assert_int_equal(load_value(&loaded, param, "1.125", ""), REDIAL_OK);
    assert_int_equal(loaded.config->default_policy_backoff_multiplier, 1125);
    loaded_fini(&loaded);
    assert_refused(param, "1.1255");
}

/* Every type once more, as the environment and flags write it. */
static void
every_parameter_has_a_variable(void **state)
{
    (void)state;
    for (size_t i = 0; i < PARAM_COUNT; i++) {
        const struct param *param = &param_table[i];
        char name[PARAM_ENVIRONMENT_BYTES];
        char variable[8192];
        char value[6000];
        struct loaded loaded;

        if (!has_range(param)) {
            continue;
        }
        param_environment(param->path, name);
        format_value(param, param->max, value, sizeof(value));
        const char *plain = value + (value[0] == '\'');
        size_t len = strcspn(plain, "'");

        (void)snprintf(variable, sizeof(variable), "%s=%.*s", name, (int)len,
                       plain);
        load_sources(&loaded, &(struct config_sources){
                                  .no_files = true,
                                  .environment = (char *[]){variable, NULL},
                                  .sets =
                                      (const char *[]){
                                          "worker.silence=600s",
                                          "worker.lease=3600s",
                                          "limits.bufferBytesMax=64GiB",
                                      },
                                  .set_count = 3,
                              });
        if (loaded.status != REDIAL_OK) {
            fail_msg("%s: %s", name, loaded_report(&loaded));
        }
        assert_int_equal(number_of(param, loaded.config), param->max);
        loaded_fini(&loaded);
    }
}

/* The member of struct config follows from the path, and is in units. */
static void
members_are_named_after_their_paths(void **state)
{
    (void)state;
    for (size_t i = 0; i < PARAM_COUNT; i++) {
        const struct param *param = &param_table[i];
        char name[PARAM_ENVIRONMENT_BYTES];
        char field[PARAM_ENVIRONMENT_BYTES];
        size_t len;

        param_environment(param->path, name);
        len = (size_t)snprintf(field, sizeof(field), "%s%s",
                               name + strlen("REDIAL_"),
                               param->type == PARAM_TYPE_DURATION ? "_ms" : "");
        for (size_t j = 0; j < len; j++) {
            field[j] = (char)tolower((unsigned char)field[j]);
        }
        assert_string_equal(field, param->field);
    }
}

static void
the_table_is_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < PARAM_COUNT; i++) {
        const struct param *param = &param_table[i];
        size_t len = strlen(param->sentence);

        assert_ptr_equal(param_find(param->path), param);
        assert_true(len > 0 && param->sentence[len - 1] == '.');
        assert_true(param->max < 9007199254740992);
        if (has_range(param) && param->words == NULL) {
            assert_true(param->min < param->max);
            assert_in_range(param->initial, param->min, param->max);
        }
    }
}

/* What both sides of the wire know is never exceeded. */
static void
limits_stay_within_those_of_the_wire(void **state)
{
    static const struct {
        const char *path;
        uint64_t max;
    } rows[] = {
        {"limits.payloadBytesMax", WIRE_PAYLOAD_BYTES_MAX},
        {"limits.resultBytesMax", WIRE_RESULT_BYTES_MAX},
        {"limits.frameBytesMax", WIRE_FRAME_BYTES_MAX},
        {"limits.guestFrameBytesMax", WIRE_FRAME_BYTES_GUEST_MAX},
        {"limits.nameBytesMax", WIRE_NAME_BYTES_MAX},
        {"limits.serviceBytesMax", WIRE_SERVICE_BYTES_MAX},
        {"limits.methodBytesMax", WIRE_METHOD_BYTES_MAX},
        {"limits.metadataMax", WIRE_METADATA_MAX},
        {"limits.metadataBytesMax", WIRE_METADATA_BYTES_MAX},
        {"limits.textBytesMax", WIRE_TEXT_BYTES_MAX},
        {"limits.submitJobsMax", WIRE_SUBMIT_JOBS_MAX},
        {"limits.pollItemsMax", WIRE_POLL_ITEMS_MAX},
        {"limits.parkTime", WIRE_PARK_MS_MAX},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct param *param = param_find(rows[i].path);

        assert_non_null(param);
        assert_int_equal(param->max, rows[i].max);
        assert_int_equal(param->initial, rows[i].max);
    }
}

/* Each rule between two parameters, just kept and just broken. */
static void
parameters_fit_each_other(void **state)
{
    static const struct {
        const char *good;
        const char *bad;
        const char *issue;
    } rows[] = {
        {"worker.silence=2.001s", "worker.silence=2s", "!worker.silence"},
        {"worker.lease=2.001s", "worker.lease=2s", "!worker.lease"},
        {"limits.frameBytesMax=4259840", "limits.frameBytesMax=4259839",
         "!limits.frameBytesMax !limits.frameBytesMax"},
        {"limits.queuedBytesMax=6MiB", "limits.queuedBytesMax=6291455",
         "!limits.queuedBytesMax"},
        {"limits.unprocessedBytesMax=6MiB",
         "limits.unprocessedBytesMax=6291455", "!limits.unprocessedBytesMax"},
        {"limits.memoryPayloadBytesMax=4MiB",
         "limits.memoryPayloadBytesMax=4194303",
         "!limits.memoryPayloadBytesMax"},
        {"limits.livePayloadBytesMax=4MiB",
         "limits.livePayloadBytesMax=4194303", "!limits.livePayloadBytesMax"},
        {"limits.queuedBytesMax=256MiB", "limits.queuedBytesMax=257MiB",
         "!limits.queuedBytesMax"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct loaded loaded;

        load_sources(&loaded, &(struct config_sources){
                                  .no_files = true,
                                  .sets = &rows[i].good,
                                  .set_count = 1,
                              });
        assert_string_equal(loaded_issues(&loaded, ""), "");
        loaded_fini(&loaded);
        load_sources(&loaded, &(struct config_sources){
                                  .no_files = true,
                                  .sets = &rows[i].bad,
                                  .set_count = 1,
                              });
        assert_string_equal(loaded_issues(&loaded, ""), rows[i].issue);
        loaded_fini(&loaded);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_parameter_takes_its_ends),
        cmocka_unit_test(no_parameter_takes_more_or_less),
        cmocka_unit_test(no_parameter_takes_another_type),
        cmocka_unit_test(words_and_codes_are_checked),
        cmocka_unit_test(thousandths_have_three_decimals),
        cmocka_unit_test(every_parameter_has_a_variable),
        cmocka_unit_test(members_are_named_after_their_paths),
        cmocka_unit_test(the_table_is_sound),
        cmocka_unit_test(limits_stay_within_those_of_the_wire),
        cmocka_unit_test(parameters_fit_each_other),
    };

    return cmocka_run_group_tests(tests, NULL, folder_fini);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "server/plugins/exec/exec_config.h"

#include "server/plugins/codes.h"
#include "server/plugins/job_field.h"
#include "server/plugins/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

enum {
    OUTPUT_BYTES_MAX = 4194304,
    GRACE_MS_MAX = 1500, /* the gateway waits 2 s after the limit */
    ARGV_MAX = 256,
    ENV_MAX = 256,
    CODES_MAX = 256,
    EXIT_NOT_EXECUTABLE = 126,
    EXIT_NOT_FOUND = 127,
};

#define AT(member) offsetof(struct exec_config, member)

static const struct setting fields[] = {
    {"argv", SETTING_LIST, AT(argv), 1, ARGV_MAX, NULL},
    {"cwd", SETTING_TEXT, AT(cwd), 0, 0, NULL},
    {"env", SETTING_MAP, AT(env), 0, ENV_MAX, NULL},
    {"inherit_env", SETTING_LIST, AT(inherit_env), 0, ENV_MAX, NULL},
    {"output_bytes_max", SETTING_INTEGER, AT(output_bytes_max), 0,
     OUTPUT_BYTES_MAX, NULL},
    {"stderr_bytes_max", SETTING_INTEGER, AT(stderr_bytes_max), 0,
     TEXT_BYTES_MAX, NULL},
    {"grace_ms", SETTING_INTEGER, AT(grace_ms), 0, GRACE_MS_MAX, NULL},
    {"content_type", SETTING_TEXT, AT(content_type), 0, 0, NULL},
    {"codes", SETTING_MAP, AT(codes), 0, CODES_MAX, NULL},
};

static const struct setting_table table = {fields,
                                           sizeof(fields) / sizeof(fields[0])};

static const char *const other_reasons[] = {"SIGNAL_", "SPAWN_FAILED", NULL};
static const struct codes_domain reasons = {"EXIT_", other_reasons, 0, 255};

/* What sysexits.h and common programs mean by their exit codes. */
static const struct {
    int exit_code;
    enum redial_status code;
} exit_codes[] = {
    {0, REDIAL_OK},
    {64, REDIAL_INVALID_ARGUMENT},
    {65, REDIAL_INVALID_ARGUMENT},
    {69, REDIAL_UNAVAILABLE},
    {75, REDIAL_UNAVAILABLE},
    {77, REDIAL_PERMISSION_DENIED},
    {78, REDIAL_FAILED_PRECONDITION},
    {124, REDIAL_DEADLINE_EXCEEDED},
    {EXIT_NOT_FOUND, REDIAL_UNIMPLEMENTED},
};

static bool
check_argv(const struct exec_config *config, struct setting_error *error)
{
    if (config->argv.count == 0) {
        settings_complain(error, "$.argv: is missing");
        return false;
    }
    bool good = true;
    if (job_field_used(config->argv.items[0]) ||
        config->argv.items[0][0] == '\0') {
        settings_complain(error, "$.argv[0]: must name a program, and no "
                                 "field of a job may stand in it");
        good = false;
    }
    for (uint32_t i = 1; i < config->argv.count; i++) {
        char where[32];
        snprintf(where, sizeof(where), "$.argv[%u]", i);
        good = job_field_check(config->argv.items[i], where, error) && good;
    }
    return good;
}

static bool
check_names(char *const *names, uint32_t count, const char *where,
            struct setting_error *error)
{
    bool good = true;
    for (uint32_t i = 0; i < count; i++) {
        if (names[i][0] == '\0' || strchr(names[i], '=') != NULL) {
            settings_complain(error, "%s: \"%s\" is no name of a variable",
                              where, names[i]);
            good = false;
        }
    }
    return good;
}

bool
exec_config_read(struct exec_config *config, const char *json, size_t len,
                 struct setting_error *error)
{
    *config = (struct exec_config){.output_bytes_max = OUTPUT_BYTES_MAX,
                                   .stderr_bytes_max = TEXT_BYTES_MAX};
    bool good = settings_read(&table, json, len, config, error);
    good = check_argv(config, error) && good;
    good = check_names(config->env.keys, config->env.count, "$.env", error) &&
           good;
    good = check_names(config->inherit_env.items, config->inherit_env.count,
                       "$.inherit_env", error) &&
           good;
    return codes_check(&config->codes, &reasons, error) && good;
}

void
exec_config_clear(struct exec_config *config)
{
    settings_clear(&table, config);
}

static enum redial_status
code_of_exit(int exit_code)
{
    for (size_t i = 0; i < sizeof(exit_codes) / sizeof(exit_codes[0]); i++) {
        if (exit_codes[i].exit_code == exit_code) {
            return exit_codes[i].code;
        }
    }
    return REDIAL_UNKNOWN;
}

enum redial_status
exec_code(const struct exec_config *config, int wait_status,
          char ret_reason[EXEC_REASON_BYTES])
{
    enum redial_status code = REDIAL_UNKNOWN;
    if (WIFEXITED(wait_status)) {
        int exit_code = WEXITSTATUS(wait_status);
        snprintf(ret_reason, EXEC_REASON_BYTES, "EXIT_%d", exit_code);
        code = codes_find(&config->codes, &reasons, ret_reason,
                          code_of_exit(exit_code));
        if (exit_code == 0) {
            ret_reason[0] = '\0';
        }
        return code;
    }
    snprintf(ret_reason, EXEC_REASON_BYTES, "SIGNAL_%d", WTERMSIG(wait_status));
    return codes_find(&config->codes, &reasons, ret_reason, code);
}

enum redial_status
exec_spawn_code(const struct exec_config *config, int error,
                char ret_reason[EXEC_REASON_BYTES])
{
    bool lacking = error == EAGAIN || error == ENOMEM || error == EMFILE ||
                   error == ENFILE;
    if (lacking) {
        snprintf(ret_reason, EXEC_REASON_BYTES, "SPAWN_FAILED");
        return codes_find(&config->codes, &reasons, ret_reason,
                          REDIAL_UNAVAILABLE);
    }
    bool absent = error == ENOENT || error == ENOTDIR;
    int exit_code = absent ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
    return exec_code(config, exit_code << 8, ret_reason);
}

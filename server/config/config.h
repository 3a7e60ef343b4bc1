/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration: where it comes from, what is wrong with it, what it says.
 *
 * Sources, a later one wins: embedded defaults, the configuration file, its
 * fragments (conf.d, every *.json in the order of names), environment variables
 * REDIAL_..., "path=value" flags. Of listeners the last source that has them
 * counts, as of retryThrottling and budget; entries of plugins, methodConfig,
 * targets and tenants come together from all sources, and naming one twice is
 * an error (of a target: saying two things of it).
 *
 * Loading is strict and reports everything at once: unknown and repeated
 * fields, values out of range, text that is not JSON. What is accepted but
 * probably not meant is a warning.
 *
 * A struct config is plain memory that nobody writes to after config_load(): it
 * may be read from any thread until config_free(). The functions block on files
 * only in config_load() and config_check(), keep no global state, and may run
 * in one thread at a time (cJSON notes its last error in one place).
 *
 * The tables are params.def, objects.def and fields.def. Arguments: object,
 * inputs, outputs.
 */
#ifndef REDIAL_SERVER_CONFIG_CONFIG_H
#define REDIAL_SERVER_CONFIG_CONFIG_H

#include "server/base/bytes.h"
#include "server/core/policy.h"
#include <redial/status.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_FILE_DEFAULT "/etc/redial/redial.json"

enum {
    CONFIG_FILE_BYTES_MAX = 1048576,
    CONFIG_FRAGMENTS_MAX = 256,
    CONFIG_ISSUES_MAX = 1000,
    /* Enough for all that the printing functions below write. */
    CONFIG_TEXT_BYTES_MAX = 64 * 1048576,
};

/* ---- What is said about a configuration --------------------------------- */

enum config_severity {
    CONFIG_ERROR = 0,
    CONFIG_WARNING = 1,
    CONFIG_CHANGE = 2,  /* config_diff(): takes effect by the reload */
    CONFIG_RESTART = 3, /* config_diff(): would need a restart */
};

struct config_issue {
    enum config_severity severity;
    const char *source;  /* a file, a variable, a flag; "": none */
    uint32_t line;       /* from 1; 0: has none */
    const char *path;    /* "methodConfig[0].timeout"; "": the whole */
    const char *found;   /* what is there */
    const char *allowed; /* what may be there, or what happens now */
};

/* Zero it before the first use. Owns its texts. */
struct config_report {
    struct config_issue *issues; /* in the order in which they were found */
    size_t count;
    size_t capacity;
    size_t errors; /* of that severity, left out ones included */
    size_t warnings;
    size_t restarts;
    size_t left_out; /* beyond CONFIG_ISSUES_MAX */
};

void
config_report_fini(struct config_report *report);

/*
 * Appends one line for each issue:
 * "redial.json:12: error: methodConfig[0].timeout: found "3c"; allowed: ..."
 */
void
config_report_print(const struct config_report *report, struct bytes *out);

/* ---- What a configuration says ------------------------------------------ */

enum config_role {
    CONFIG_ROLE_AGENT = 0,
    CONFIG_ROLE_WORKER = 1,
    CONFIG_ROLE_ADMIN = 2,
};

enum config_log_level {
    CONFIG_LOG_DEBUG = 0,
    CONFIG_LOG_INFO = 1,
    CONFIG_LOG_WARN = 2,
    CONFIG_LOG_ERROR = 3,
};

struct config_listener {
    const char *url; /* ipc:///path, tcp://host:port, tls+tcp://host:port */
    enum config_role role;
    uint32_t mode; /* ipc: permissions of the socket, 0600 */
    bool allow_remote;
    const char *tls_cert; /* files in PEM; NULL unless tls+tcp */
    const char *tls_key;
    const char *tls_ca; /* NULL: clients need no certificate */
};

struct config_plugin_method {
    const char *service;
    const char *method;   /* "": every method of the service */
    uint32_t concurrency; /* at most the plugin's */
};

struct config_plugin {
    const char *name;   /* unique; the worker's name as well */
    const char *plugin; /* "exec", "http", "fault", or the path of a file */
    bool built_in;
    uint32_t concurrency; /* attempts at once, over all methods */
    const struct config_plugin_method *methods;
    size_t method_count; /* at least 1 */
    const char *config;  /* its own configuration: a JSON object as text */
    size_t config_bytes;
};

/* An element of methodConfig that names at least one method. */
struct config_entry {
    const char *path;   /* "methodConfig[0]" */
    const char *source; /* as in struct config_issue */
    uint32_t line;
};

/* The C type of each parameter type in params.def. */
#define CONFIG_C_U32         uint32_t
#define CONFIG_C_U64         uint64_t
#define CONFIG_C_BOOL        bool
#define CONFIG_C_DURATION    uint64_t
#define CONFIG_C_BYTES       uint64_t
#define CONFIG_C_THOUSANDTHS uint32_t
#define CONFIG_C_ENUM        uint32_t
#define CONFIG_C_CODES       uint32_t
#define CONFIG_C_NAME        const char *
#define CONFIG_C_PATH        const char *

struct config {
#define PARAM(field, path, type, min, max, initial, words, when, sentence) \
    CONFIG_C_##type field;
#include "server/config/params.def"

    const struct config_listener *listeners;
    size_t listener_count;
    const struct config_plugin *plugins;
    size_t plugin_count;
    struct policy_set policy; /* see config_policy() */

    /* Private to server/config. */
    const uint32_t *attempts_asked; /* of each policy.methods, before limits */
    uint32_t fallback_attempts_asked;
    const struct config_entry *entries; /* in the order of the sources */
    size_t entry_count;
    const uint32_t *method_entries; /* of each policy.methods, an index */
    uint32_t fallback_entry;        /* if fallback_given */
    bool fallback_given;            /* by a methodConfig with the name {} */
    bool tenant_fallback_given;     /* by a tenant without a name */
    struct config_arena *arena;     /* owns all that the pointers reach */
};

/* ---- Loading ------------------------------------------------------------- */

/* All members may be zero. */
struct config_sources {
    const char *file;      /* NULL: CONFIG_FILE_DEFAULT if it is there */
    const char *fragments; /* directory; NULL: conf.d beside the file if any */
    bool no_files;         /* read neither */
    bool no_instances;     /* instanceBreaker: refused, not had here */
    char *const *environment; /* as environ; NULL: none */
    const char *const *sets;  /* "path=value", text or JSON */
    size_t set_count;
    uint32_t policy_version; /* becomes policy.version */
};

/*
 * Reads all sources. OK: *ret_config is set; the report may hold warnings.
 * INVALID_ARGUMENT: the report says what is wrong; NOT_FOUND: a file that was
 * named is not there or cannot be read (in the report as well);
 * RESOURCE_EXHAUSTED: no memory. The report is appended to.
 *
 * Variables whose name begins with REDIAL_ and is no parameter's are ignored
 * (orchestrators inject such); a near miss is a warning. An empty variable
 * counts as not set. RUNTIME_DIRECTORY, XDG_RUNTIME_DIR and STATE_DIRECTORY
 * are honoured as params.def says.
 */
enum redial_status
config_load(const struct config_sources *sources, struct config **ret_config,
            struct config_report *report);

/* NULL is allowed. */
void
config_free(struct config *config);

/* config_load() without keeping anything: for --check. */
enum redial_status
config_check(const struct config_sources *sources,
             struct config_report *report);

/*
 * The policies, owned by the configuration: keep it as long as the engine uses
 * them. The version is the one given to config_load().
 */
const struct policy_set *
config_policy(const struct config *config);

/* ---- Comparing ----------------------------------------------------------- */

/*
 * What a reload from `old` to `new` changes, one issue each, with the old and
 * the new value. Returns true when a reload is enough. False: parameters with
 * severity CONFIG_RESTART changed; the reload must be refused.
 */
bool
config_diff(const struct config *old, const struct config *new,
            struct config_report *report);

/* ---- Printing: appends; check out->failed once at the end -----------------
 */

/* The whole effective configuration as JSON; config_load() takes it again. */
void
config_print(const struct config *config, struct bytes *out);

/* Only what retries depend on, as JSON: for the record of a policy. */
void
config_policy_print(const struct config *config, struct bytes *out);

/* The JSON Schema of a configuration file: deploy/redial.schema.json. */
void
config_schema_print(struct bytes *out);

/* Every parameter for people, Markdown: deploy/configuration.md. */
void
config_reference_print(struct bytes *out);

/* The word of the configuration: "agent"; "debug". */
const char *
config_role_name(enum config_role role);

const char *
config_log_level_name(enum config_log_level level);

#endif

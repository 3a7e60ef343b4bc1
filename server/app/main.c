/* SPDX-License-Identifier: Apache-2.0 */
/* redial-gateway: the daemon. */
#include "server/app/gateway.h"
#include "server/app/loop.h"
#include "server/app/start.h"
#include "server/config/lint.h"
#include "server/replay/replay.h"
#include <redial/version.h>

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SETS_MAX = 64 };

enum action {
    ACTION_RUN,
    ACTION_CHECK,
    ACTION_PRINT,
    ACTION_SIMULATE,
    ACTION_REFERENCE,
    ACTION_SCHEMA,
    ACTION_VERSION,
    ACTION_HELP,
    ACTION_USAGE,
};

struct arguments {
    enum action action;
    bool json;
    struct config_sources sources;
    const char *sets[SETS_MAX];
};

static const char usage[] =
    "usage: redial-gateway [--config FILE] [--conf-d FOLDER] [--set PATH=VALUE]"
    "\n                      [--ephemeral] [--no-files]\n"
    "       redial-gateway --check [--json] | --print-config | --help | "
    "--version\n"
    "       redial-gateway --simulate-policy FILE [--json] < EVENTS\n"
    "\n"
    "The retry gateway: agents send it jobs, it hands them to workers, and it\n"
    "alone decides when to try again and when to stop.\n"
    "\n"
    "  --config FILE    configuration (default /etc/redial/redial.json, if it\n"
    "                   is there; else built-in defaults)\n"
    "  --conf-d FOLDER  fragments *.json, read in the order of their names\n"
    "  --set PATH=VALUE one parameter, for example log.level=debug\n"
    "  --ephemeral      keep nothing on disk: a restart forgets all jobs\n"
    "  --no-files       read no configuration file\n"
    "  --check          say all that is wrong with the configuration, what\n"
    "                   its policies amount to and what is hardly meant, and "
    "end\n"
    "  --simulate-policy FILE\n"
    "                   replay recorded events (see redial policy simulate)\n"
    "                   under this configuration and print the difference\n"
    "  --json           what is printed is for programs\n"
    "  --print-config   print the whole effective configuration, and end\n"
    "  --help-config    print every parameter with its meaning\n"
    "  --schema         print the JSON Schema of the configuration\n"
    "  --help, --version\n"
    "\n"
    "Environment: REDIAL_... overrides single parameters (see --help-config).\n"
    "SIGHUP reloads the configuration. SIGTERM drains and ends; a second one\n"
    "ends at once, and nothing is lost.\n"
    "\n"
    "Exit: 0 ended as asked; 2 usage; 3 configuration; 4 another gateway uses\n"
    "the store; 5 the store cannot be opened; 6 cannot listen; 7 a write to\n"
    "the store failed (restart it: it recovers); 70 internal.\n";

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'},
    {"conf-d", required_argument, NULL, 'd'},
    {"set", required_argument, NULL, 's'},
    {"ephemeral", no_argument, NULL, 'e'},
    {"no-files", no_argument, NULL, 'n'},
    {"simulate-policy", required_argument, NULL, 'p'},
    {"json", no_argument, NULL, 'j'},
    {"check", no_argument, NULL, ACTION_CHECK + 256},
    {"print-config", no_argument, NULL, ACTION_PRINT + 256},
    {"help-config", no_argument, NULL, ACTION_REFERENCE + 256},
    {"schema", no_argument, NULL, ACTION_SCHEMA + 256},
    {"version", no_argument, NULL, ACTION_VERSION + 256},
    {"help", no_argument, NULL, ACTION_HELP + 256},
    {NULL, 0, NULL, 0},
};

static bool
add_set(struct arguments *arguments, const char *set)
{
    if (arguments->sources.set_count == SETS_MAX) {
        (void)fprintf(stderr, "redial-gateway: more than %d --set\n", SETS_MAX);
        return false;
    }
    arguments->sets[arguments->sources.set_count++] = set;
    return true;
}

static bool
take_option(struct arguments *arguments, int option)
{
    switch (option) {
    case 'c':
        arguments->sources.file = optarg;
        return true;
    case 'd':
        arguments->sources.fragments = optarg;
        return true;
    case 's':
        return add_set(arguments, optarg);
    case 'e':
        return add_set(arguments, "store.ephemeral=true");
    case 'n':
        arguments->sources.no_files = true;
        return true;
    case 'p':
        arguments->action = ACTION_SIMULATE;
        arguments->sources.file = optarg;
        return true;
    case 'j':
        arguments->json = true;
        return true;
    case '?':
        return false;
    default:
        arguments->action = (enum action)(option - 256);
        return true;
    }
}

static void
parse(int argc, char **argv, struct arguments *arguments)
{
    int option;

    arguments->sources.environment = environ;
    arguments->sources.sets = arguments->sets;
    arguments->sources.policy_version = 1;
    arguments->sources.no_instances = true; /* the engine has none yet */
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (!take_option(arguments, option)) {
            arguments->action = ACTION_USAGE;
            return;
        }
    }
    if (optind < argc) {
        (void)fprintf(stderr, "redial-gateway: unexpected argument '%s'\n",
                      argv[optind]);
        arguments->action = ACTION_USAGE;
    }
    if (arguments->json && arguments->action != ACTION_CHECK &&
        arguments->action != ACTION_SIMULATE) {
        (void)fprintf(stderr, "redial-gateway: --json goes with --check and "
                              "--simulate-policy\n");
        arguments->action = ACTION_USAGE;
    }
}

static int
write_out(struct bytes *text, FILE *to)
{
    bool good = !text->failed &&
                (text->len == 0 || fwrite(text->at, text->len, 1, to) == 1);

    bytes_fini(text);
    return good && fflush(to) == 0 ? GATEWAY_EXIT_OK : GATEWAY_EXIT_INTERNAL;
}

static void
print_report(const struct config_report *report)
{
    struct bytes text;

    bytes_init(&text, CONFIG_TEXT_BYTES_MAX);
    config_report_print(report, &text);
    (void)write_out(&text, stderr);
}

static int
print_generated(void (*print)(struct bytes *out))
{
    struct bytes text;

    bytes_init(&text, CONFIG_TEXT_BYTES_MAX);
    print(&text);
    return write_out(&text, stdout);
}

static int
run(struct gateway *gateway)
{
    enum gateway_exit status;

    log_set_level((enum config_log_level)gateway->config->log_level);
    if (!loop_block_signals(gateway)) {
        return GATEWAY_EXIT_INTERNAL;
    }
    status = gateway_start(gateway);
    if (status == GATEWAY_EXIT_OK) {
        status = loop_run(gateway);
    }
    gateway_stop(gateway);
    return (int)status;
}

static int
print_config(const struct config *config)
{
    struct bytes text;

    bytes_init(&text, CONFIG_TEXT_BYTES_MAX);
    config_print(config, &text);
    return write_out(&text, stdout);
}

static int
simulate(const struct arguments *arguments, const struct config *config)
{
    struct replay_options replay = {
        .policy = config_policy(config),
        .policy_name = arguments->sources.file,
        .attempts_limit = config->max_attempts_limit,
        .json = arguments->json,
    };

    switch (replay_run(&replay, stdin, stdout, stderr)) {
    case REPLAY_DONE:
        return GATEWAY_EXIT_OK;
    case REPLAY_BAD_INPUT:
        return GATEWAY_EXIT_USAGE;
    case REPLAY_NO_MEMORY:
        (void)fputs("redial-gateway: out of memory\n", stderr);
        return GATEWAY_EXIT_INTERNAL;
    case REPLAY_NO_OUTPUT:
        (void)fputs("redial-gateway: cannot write the report\n", stderr);
        return GATEWAY_EXIT_INTERNAL;
    }
    return GATEWAY_EXIT_INTERNAL;
}

/* What the configuration means; NULL: it could not be loaded. */
static int
print_check(const struct config *config, const struct config_report *report,
            bool json)
{
    struct lint *lint = config == NULL ? NULL : lint_create(config);
    struct bytes text;

    if (config != NULL && lint == NULL) {
        return GATEWAY_EXIT_INTERNAL;
    }
    bytes_init(&text, CONFIG_TEXT_BYTES_MAX);
    if (json) {
        lint_print_json(lint, report, &text);
    } else if (lint != NULL) {
        lint_print(lint, &text);
    }
    lint_free(lint);
    return write_out(&text, stdout);
}

/* The actions that need a configuration. */
static int
act(struct arguments *arguments)
{
    static struct gateway gateway;
    struct config_report report = {.count = 0};
    enum redial_status status;
    int result = GATEWAY_EXIT_OK;

    gateway.sources = arguments->sources;
    gateway.policy_version = 1;
    status = config_load(&arguments->sources, &gateway.config, &report);
    if (arguments->action != ACTION_CHECK || !arguments->json) {
        print_report(&report);
    }
    if (arguments->action == ACTION_CHECK) {
        result = print_check(gateway.config, &report, arguments->json);
    }
    config_report_fini(&report);
    if (status != REDIAL_OK) {
        return GATEWAY_EXIT_CONFIG;
    }
    if (arguments->action == ACTION_RUN) {
        result = run(&gateway);
    } else if (arguments->action == ACTION_PRINT) {
        result = print_config(gateway.config);
    } else if (arguments->action == ACTION_SIMULATE) {
        result = simulate(arguments, gateway.config);
    }
    config_free(gateway.config);
    return result;
}

int
main(int argc, char **argv)
{
    static struct arguments arguments;

    parse(argc, argv, &arguments);
    switch (arguments.action) {
    case ACTION_RUN:
    case ACTION_CHECK:
    case ACTION_PRINT:
    case ACTION_SIMULATE:
        return act(&arguments);
    case ACTION_REFERENCE:
        return print_generated(config_reference_print);
    case ACTION_SCHEMA:
        return print_generated(config_schema_print);
    case ACTION_VERSION:
        (void)printf("redial-gateway %s\n", REDIAL_VERSION_STRING);
        return GATEWAY_EXIT_OK;
    case ACTION_HELP:
        (void)fputs(usage, stdout);
        return GATEWAY_EXIT_OK;
    case ACTION_USAGE:
        (void)fputs(usage, stderr);
        return GATEWAY_EXIT_USAGE;
    }
    return GATEWAY_EXIT_USAGE;
}

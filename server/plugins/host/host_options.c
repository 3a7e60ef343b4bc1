/* SPDX-License-Identifier: Apache-2.0 */
#include "server/plugins/host/host_options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char host_usage[] =
    "usage: redial-plugin-host --plugin NAME|FILE --address URL --name WORKER\n"
    "           --slot SERVICE[/METHOD][=N]... [option...]\n"
    "\n"
    "Runs one plugin as a worker of a Redial gateway, which normally starts\n"
    "this program by itself. By hand it serves a gateway elsewhere.\n"
    "\n"
    "  --plugin NAME|FILE      exec, http, fault; or a file, with a '/'\n"
    "  --plugin-dir FOLDER     where NAME.so is looked for\n"
    "  --address URLS          of the gateway: ipc:///path tcp://host:port\n"
    "                          tls+tcp://host:port, comma between several\n"
    "  --name WORKER           how the gateway calls this worker\n"
    "  --slot SERVICE/METHOD=N attempts at a time of this method; without\n"
    "                          /METHOD of all methods, without =N one\n"
    "  --concurrency N         attempts at a time in total\n"
    "  --config-file FILE      JSON for the plugin\n"
    "  --config-fd N           the same, from an open descriptor\n"
    "  --instance ID           of this incarnation; default: random\n"
    "  --token-file FILE       credential for the gateway\n"
    "  --tls-ca-file FILE      authorities to trust\n"
    "  --tls-server-name NAME  name that the certificate must carry\n"
    "  --tls-cert-key-file F   own certificate and key\n"
    "  --groups-fd N           descriptor to report process groups to\n"
    "  --parent-pid N          end when process N is not the parent (any "
    "more)\n"
    "  --help                  this text\n"
    "\n"
    "SIGTERM: takes no more work, finishes what it has, exits with 0. A "
    "second\n"
    "one: exits at once. Exit codes: 0 done, 64 usage, 69 refused by the\n"
    "gateway, 70 failure, 78 plugin or its configuration.\n";

enum option_id {
    OPTION_PLUGIN = 1,
    OPTION_PLUGIN_DIR,
    OPTION_ADDRESS,
    OPTION_TOKEN_FILE,
    OPTION_TLS_CA_FILE,
    OPTION_TLS_SERVER_NAME,
    OPTION_TLS_CERT_KEY_FILE,
    OPTION_NAME,
    OPTION_INSTANCE,
    OPTION_SLOT,
    OPTION_CONCURRENCY,
    OPTION_CONFIG_FILE,
    OPTION_CONFIG_FD,
    OPTION_GROUPS_FD,
    OPTION_PARENT_PID,
    OPTION_GUARD,
    OPTION_HELP,
};

static const struct option long_options[] = {
    {"plugin", required_argument, NULL, OPTION_PLUGIN},
    {"plugin-dir", required_argument, NULL, OPTION_PLUGIN_DIR},
    {"address", required_argument, NULL, OPTION_ADDRESS},
    {"token-file", required_argument, NULL, OPTION_TOKEN_FILE},
    {"tls-ca-file", required_argument, NULL, OPTION_TLS_CA_FILE},
    {"tls-server-name", required_argument, NULL, OPTION_TLS_SERVER_NAME},
    {"tls-cert-key-file", required_argument, NULL, OPTION_TLS_CERT_KEY_FILE},
    {"name", required_argument, NULL, OPTION_NAME},
    {"instance", required_argument, NULL, OPTION_INSTANCE},
    {"slot", required_argument, NULL, OPTION_SLOT},
    {"concurrency", required_argument, NULL, OPTION_CONCURRENCY},
    {"config-file", required_argument, NULL, OPTION_CONFIG_FILE},
    {"config-fd", required_argument, NULL, OPTION_CONFIG_FD},
    {"groups-fd", required_argument, NULL, OPTION_GROUPS_FD},
    {"parent-pid", required_argument, NULL, OPTION_PARENT_PID},
    {"guard", no_argument, NULL, OPTION_GUARD}, /* the host's own use */
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static bool
read_number(const char *text, long min, long max, long *ret_number)
{
    char *end = NULL;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number < min ||
        number > max) {
        return false;
    }
    *ret_number = number;
    return true;
}

/* "service/method=4" */
static bool
read_slot(struct host_options *options, const char *text)
{
    if (options->slot_count == HOST_SLOTS_MAX) {
        return false;
    }
    struct host_slot *slot = &options->slots[options->slot_count];
    const char *equals = strrchr(text, '=');
    long number = 1;
    if (equals != NULL &&
        !read_number(equals + 1, 0, HOST_CONCURRENCY_MAX, &number)) {
        return false;
    }
    size_t len = equals == NULL ? strlen(text) : (size_t)(equals - text);
    size_t service_len = strcspn(text, "/");
    service_len = service_len < len ? service_len : len;
    bool has_method = service_len < len;
    size_t method_len = has_method ? len - service_len - 1 : 0;
    if (service_len == 0 || service_len >= sizeof(slot->service) ||
        method_len >= sizeof(slot->method) || (has_method && method_len == 0)) {
        return false;
    }
    memcpy(slot->service, text, service_len);
    memcpy(slot->method, text + len - method_len, method_len);
    slot->concurrency = (uint32_t)number;
    options->slot_count++;
    return true;
}

static bool
take_number(struct host_options *options, enum option_id id, const char *value)
{
    long number = 0;
    if (id == OPTION_CONCURRENCY) {
        bool good = read_number(value, 1, HOST_CONCURRENCY_MAX, &number);
        options->concurrency = (uint32_t)number;
        return good;
    }
    if (id == OPTION_PARENT_PID) {
        return read_number(value, 1, INT_MAX, &options->parent_pid);
    }
    bool good = read_number(value, 3, INT_MAX, &number);
    *(id == OPTION_CONFIG_FD ? &options->config_fd
                             : &options->groups_fd) = (int)number;
    return good;
}

/* Where the text of an option goes; NULL: it is no text. */
static const char **
text_of(struct host_options *options, enum option_id id)
{
    static const struct {
        enum option_id id;
        size_t offset;
    } rows[] = {
        {OPTION_PLUGIN, offsetof(struct host_options, plugin)},
        {OPTION_PLUGIN_DIR, offsetof(struct host_options, plugin_dir)},
        {OPTION_ADDRESS, offsetof(struct host_options, address)},
        {OPTION_TOKEN_FILE, offsetof(struct host_options, token_file)},
        {OPTION_TLS_CA_FILE, offsetof(struct host_options, tls_ca_file)},
        {OPTION_TLS_SERVER_NAME,
         offsetof(struct host_options, tls_server_name)},
        {OPTION_TLS_CERT_KEY_FILE,
         offsetof(struct host_options, tls_cert_key_file)},
        {OPTION_NAME, offsetof(struct host_options, name)},
        {OPTION_INSTANCE, offsetof(struct host_options, instance)},
        {OPTION_CONFIG_FILE, offsetof(struct host_options, config_file)},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].id == id) {
            return (const char **)(void *)((char *)options + rows[i].offset);
        }
    }
    return NULL;
}

static bool
take_option(struct host_options *options, enum option_id id, const char *value)
{
    const char **text = text_of(options, id);
    if (text != NULL) {
        *text = value;
        return true;
    }
    if (id == OPTION_SLOT) {
        return read_slot(options, value);
    }
    if (id == OPTION_GUARD || id == OPTION_HELP) {
        *(id == OPTION_GUARD ? &options->is_guard : &options->is_help) = true;
        return true;
    }
    return take_number(options, id, value);
}

static bool
is_complete(const struct host_options *options, char *error, size_t error_size)
{
    const char *missing = options->plugin == NULL    ? "--plugin"
                          : options->address == NULL ? "--address"
                          : options->name == NULL    ? "--name"
                          : options->slot_count == 0 ? "--slot"
                                                     : NULL;
    if (missing != NULL && !options->is_guard && !options->is_help) {
        snprintf(error, error_size, "%s is missing", missing);
        return false;
    }
    if (options->config_fd >= 0 && options->config_file != NULL) {
        snprintf(error, error_size,
                 "--config-fd and --config-file exclude "
                 "each other");
        return false;
    }
    return true;
}

bool
host_options_read(int argc, char **argv, struct host_options *ret_options,
                  char *error, size_t error_size)
{
    struct host_options options = {.config_fd = -1, .groups_fd = -1};
    int index = 0;
    int id;
    opterr = 0;
    optind = 0;
    while ((id = getopt_long(argc, argv, "", long_options, &index)) != -1) {
        if (id == '?') {
            snprintf(error, error_size, "%s: unknown, or without its value",
                     argv[optind - 1]);
            return false;
        }
        if (!take_option(&options, (enum option_id)id, optarg)) {
            snprintf(error, error_size, "--%s: \"%s\" is no good",
                     long_options[index].name, optarg);
            return false;
        }
    }
    if (optind < argc) {
        snprintf(error, error_size, "\"%s\": not expected", argv[optind]);
        return false;
    }
    if (!is_complete(&options, error, error_size)) {
        return false;
    }
    *ret_options = options;
    return true;
}

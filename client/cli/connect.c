/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/connect.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CONNECT_MS      3000 /* a connection may take, without --timeout */
#define TOKEN_BYTES_MAX 4096

static enum redial_status
set_error(struct cli *cli, enum redial_status status, const char *reason,
          const char *format, ...) __attribute__((format(printf, 4, 5)));

static enum redial_status
set_error(struct cli *cli, enum redial_status status, const char *reason,
          const char *format, ...)
{
    va_list arguments;

    cli->error = (struct redial_error){.status = status};
    (void)snprintf(cli->error.reason, sizeof(cli->error.reason), "%s", reason);
    va_start(arguments, format);
    (void)vsnprintf(cli->error.text, sizeof(cli->error.text), format,
                    arguments);
    va_end(arguments);
    return status;
}

/* The token of --token-file, its first line; or of REDIAL_TOKEN; or none. */
static enum redial_status
read_token(struct cli *cli, char *token, size_t size)
{
    const char *path = args_get(cli->args, OPTION_TOKEN_FILE);
    const char *given = cli->environment("REDIAL_TOKEN");
    bool was_read;
    FILE *file;

    token[0] = '\0';
    if (path == NULL) {
        (void)snprintf(token, size, "%s", given != NULL ? given : "");
        return REDIAL_OK;
    }
    file = fopen(path, "re");
    was_read = file != NULL && fgets(token, (int)size, file) != NULL;
    if (file != NULL) {
        (void)fclose(file);
    }
    if (!was_read) {
        return set_error(cli, REDIAL_INVALID_ARGUMENT, "TOKEN_FILE",
                         "no token can be read from %s", path);
    }
    token[strcspn(token, "\r\n")] = '\0';
    return REDIAL_OK;
}

static enum redial_status
call_client(void *ctx, const struct redial_i_method *method,
            const ProtobufCMessage *request, struct redial_deadline deadline,
            struct redial_i_response *ret_response,
            struct redial_error *ret_error)
{
    return redial_i_call(ctx, method, request, deadline, ret_response,
                         ret_error);
}

/* Is anybody there? Only then is it worth waiting for answers. */
static enum redial_status
knock(struct cli *cli)
{
    Redial__V1__HealthRequest request = REDIAL__V1__HEALTH_REQUEST__INIT;
    struct redial_i_response response;
    enum redial_status status = redial_i_call(
        cli->client, &cli_health, &request.base, redial_in_ms(CONNECT_MS),
        &response, &cli->error);

    if (status == REDIAL_OK) {
        redial_i_response_fini(&response);
    }
    return status == REDIAL_UNAVAILABLE &&
                   strcmp(cli->error.reason, "NOT_CONNECTED") == 0
               ? status
               : REDIAL_OK;
}

enum redial_status
cli_connect(struct cli *cli)
{
    char token[TOKEN_BYTES_MAX];
    struct redial_client_options options = {
        .struct_size = sizeof(options),
        .connection =
            {
                .addresses = text_string(&cli->addresses),
                .tls_ca_file = args_get(cli->args, OPTION_TLS_CA),
                .tls_cert_key_file = args_get(cli->args, OPTION_TLS_CERT),
                .tls_server_name = args_get(cli->args, OPTION_TLS_NAME),
            },
    };
    enum redial_status status = read_token(cli, token, sizeof(token));

    if (status != REDIAL_OK) {
        cli->is_misused = true;
        return status;
    }
    options.connection.token = token[0] != '\0' ? token : NULL;
    if (!cli->has_timeout && where_is_absent(options.connection.addresses)) {
        return set_error(cli, REDIAL_UNAVAILABLE, "NOT_CONNECTED",
                         "there is no gateway: its socket does not exist");
    }
    status = redial_client_open(&options, &cli->client, &cli->error);
    cli->is_misused = status == REDIAL_INVALID_ARGUMENT;
    if (status == REDIAL_OK && !cli->has_timeout) {
        status = knock(cli);
    }
    if (status == REDIAL_OK) {
        cli->caller = call_client;
        cli->caller_ctx = cli->client;
    }
    return status;
}

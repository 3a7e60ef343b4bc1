/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/payload.h"

#include "proto/limits.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_FIRST 65536

struct problem {
    char *text;
    size_t size;
};

static bool
fail(struct problem problem, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool
fail(struct problem problem, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(problem.text, problem.size, format, arguments);
    va_end(arguments);
    return false;
}

static bool
copy(struct payload *payload, const char *string, struct problem problem)
{
    payload->len = strlen(string);
    if (payload->len > WIRE_PAYLOAD_BYTES_MAX) {
        return fail(problem, "the payload is larger than 4 MiB");
    }
    payload->bytes = malloc(payload->len + 1);
    if (payload->bytes == NULL) {
        return fail(problem, "out of memory");
    }
    memcpy(payload->bytes, string, payload->len + 1);
    return true;
}

static bool
grow(struct payload *payload, size_t *room)
{
    size_t more = *room != 0 ? *room * 2 : ROOM_FIRST;
    void *bytes = realloc(payload->bytes, more);

    if (bytes == NULL) {
        return false;
    }
    payload->bytes = bytes;
    *room = more;
    return true;
}

/* To the end, or one byte beyond the limit. */
static bool
read_stream(struct payload *payload, FILE *file, const char *name,
            struct problem problem)
{
    size_t room = 0;

    do {
        if (payload->len == room && !grow(payload, &room)) {
            return fail(problem, "out of memory");
        }
        payload->len += fread((char *)payload->bytes + payload->len, 1,
                              room - payload->len, file);
    } while (!feof(file) && !ferror(file) &&
             payload->len <= WIRE_PAYLOAD_BYTES_MAX);
    if (ferror(file)) {
        return fail(problem, "%s cannot be read", name);
    }
    if (payload->len > WIRE_PAYLOAD_BYTES_MAX) {
        return fail(problem,
                    "%s is larger than 4 MiB: pass a reference to it instead",
                    name);
    }
    return true;
}

static bool
read_file(struct payload *payload, const char *path, struct problem problem)
{
    FILE *file = fopen(path, "re");
    bool was_read;

    if (file == NULL) {
        return fail(problem, "%s: %s", path, strerror(errno));
    }
    was_read = read_stream(payload, file, path, problem);
    (void)fclose(file);
    return was_read;
}

static bool
check_json(const char *string, struct problem problem)
{
    const char *end = NULL;
    cJSON *value = cJSON_ParseWithOpts(string, &end, 1);

    if (value == NULL) {
        return fail(problem, "--json-data is not JSON, from here: %.40s",
                    end != NULL && *end != '\0' ? end : "(its end)");
    }
    cJSON_Delete(value);
    return true;
}

bool
payload_read(struct payload *payload, const struct args *args, FILE *in,
             char *ret_problem, size_t problem_size)
{
    struct problem problem = {ret_problem, problem_size};
    const char *data = args_get(args, OPTION_DATA);
    const char *json = args_get(args, OPTION_JSON_DATA);
    const char *path = args_get(args, OPTION_FILE);
    const char *word = args->word_count > 1 ? args->words[1] : NULL;

    *payload = (struct payload){.bytes = NULL};
    if ((data != NULL) + (json != NULL) + (path != NULL) + (word != NULL) > 1) {
        return fail(problem, "the payload is given twice: --data, "
                             "--json-data, --file and - exclude each other");
    }
    if (word != NULL && strcmp(word, "-") != 0) {
        return fail(problem,
                    "\"%.100s\" is too much: a payload is given with --data",
                    word);
    }
    if (word != NULL || (path != NULL && strcmp(path, "-") == 0)) {
        return read_stream(payload, in, "standard input", problem);
    }
    if (path != NULL) {
        return read_file(payload, path, problem);
    }
    payload->is_json = json != NULL;
    if (json != NULL && !check_json(json, problem)) {
        return false;
    }
    data = json != NULL ? json : data;
    return data != NULL ? copy(payload, data, problem) : true;
}

void
payload_fini(struct payload *payload)
{
    free(payload->bytes);
    *payload = (struct payload){.bytes = NULL};
}

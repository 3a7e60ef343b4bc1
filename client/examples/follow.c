/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Follows the attempts of all jobs under one correlation id, from the first
 * event that the gateway keeps, and remembers in a file how far it has come:
 * started again, it goes on with the next event.
 *
 *     example-follow CORRELATION-ID CURSOR-FILE
 *
 * The gateway's socket for agents is $REDIAL_ADDRESS. It goes on until it is
 * ended, also while the gateway restarts. The cursor is kept after the event
 * was printed: what is ended in between prints that event again, and never
 * leaves one out.
 */
#include <redial/client.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATIENCE_MS = 30000, CURSOR_BYTES = 256 };

/* Where an earlier run got to, or "start". */
static void
read_cursor(const char *path, char ret_cursor[CURSOR_BYTES])
{
    FILE *file = fopen(path, "r");

    if (file == NULL || fgets(ret_cursor, CURSOR_BYTES, file) == NULL) {
        (void)snprintf(ret_cursor, CURSOR_BYTES, "start");
    }
    if (file != NULL) {
        (void)fclose(file);
    }
}

/* A whole new file takes the place of the old one, so none is ever half. */
static bool
write_cursor(const char *path, const char *cursor)
{
    char fresh[4096];
    FILE *file;
    bool good;

    (void)snprintf(fresh, sizeof(fresh), "%s.new", path);
    file = fopen(fresh, "w");
    if (file == NULL) {
        return false;
    }
    good = fputs(cursor, file) >= 0;
    return fclose(file) == 0 && good && rename(fresh, path) == 0;
}

static void
print(const struct redial_event *event)
{
    if (event->gap != NULL) {
        (void)printf("gap: events are not kept any more (%s)\n",
                     event->gap->reason);
        return;
    }
    (void)printf("%s %s/%s %s", event->job_id, event->service, event->method,
                 event->type);
    if (event->attempt > 0) {
        (void)printf(" attempt %u", event->attempt);
    }
    if (event->has_code) {
        (void)printf(" %s %s", redial_status_name(event->code), event->reason);
    }
    if (event->decision != NULL) {
        (void)printf(" [%s]", event->decision->rule);
    }
    (void)putchar('\n');
}

static enum redial_status
follow(redial_client *client, const char *correlation_id, const char *path,
       struct redial_error *error)
{
    struct redial_filter filter = {
        .struct_size = sizeof(filter),
        .correlation_id = correlation_id,
    };
    char cursor[CURSOR_BYTES];
    redial_watch *watch = NULL;
    const struct redial_event *event = NULL;
    enum redial_status status;

    read_cursor(path, cursor);
    status = redial_watch_open(client, &filter, cursor,
                               redial_in_ms(PATIENCE_MS), &watch, error);
    while (status == REDIAL_OK) {
        status = redial_watch_next(watch, redial_never(), &event, error);
        if (status == REDIAL_OK) {
            print(event);
            (void)fflush(stdout);
            if (!write_cursor(path, redial_watch_cursor(watch))) {
                status = REDIAL_FAILED_PRECONDITION;
                (void)snprintf(error->text, sizeof(error->text),
                               "%s cannot be written", path);
            }
        }
    }
    redial_watch_close(watch);
    return status;
}

int
main(int argc, char **argv)
{
    struct redial_client_options options = {
        .struct_size = sizeof(options),
        .connection.addresses = getenv("REDIAL_ADDRESS"),
    };
    redial_client *client = NULL;
    struct redial_error error;
    enum redial_status status;

    if (argc != 3) {
        (void)fprintf(stderr, "usage: %s CORRELATION-ID CURSOR-FILE\n",
                      argv[0]);
        return EXIT_FAILURE;
    }
    status = redial_client_open(&options, &client, &error);
    if (status == REDIAL_OK) {
        status = follow(client, argv[1], argv[2], &error);
    }
    if (status != REDIAL_OK) {
        (void)fprintf(stderr, "%s: %s\n", redial_status_name(status),
                      error.text);
    }
    redial_client_close(client);
    return status == REDIAL_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

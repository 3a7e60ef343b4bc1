/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/stream.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define CURSOR_BYTES 192

void
stream_fini(struct stream *stream)
{
    free(stream->cursor);
    stream->cursor = NULL;
}

static bool
is_same(const char *one, const char *other)
{
    return one != NULL && other != NULL && strcmp(one, other) == 0;
}

static bool
take_gap(struct stream *stream, Redial__V1__Gap *gap)
{
    Redial__V1__Event event = REDIAL__V1__EVENT__INIT;

    event.type = (char *)(uintptr_t) "stream.gap";
    event.has_schema = true;
    event.schema = 1;
    event.epoch = gap->epoch;
    event.has_wall_ms = true;
    event.wall_ms = stream->cli->wall_ms();
    event.gap = gap;
    return stream->take(stream->ctx, &event);
}

static void
take_events(struct stream *stream, const Redial__V1__WatchResponse *answer)
{
    if (stream->take_answer != NULL) {
        stream->is_over = !stream->take_answer(stream->ctx, answer);
        return;
    }
    if (answer->gap != NULL) {
        stream->is_over = !take_gap(stream, answer->gap);
    }
    for (size_t i = 0; i < answer->n_events && !stream->is_over; i++) {
        stream->is_over = !stream->take(stream->ctx, answer->events[i]);
    }
}

enum redial_status
stream_turn(struct stream *stream, uint32_t wait_ms)
{
    Redial__V1__WatchRequest request = REDIAL__V1__WATCH_REQUEST__INIT;
    struct redial_i_response response;
    const Redial__V1__WatchResponse *answer;
    enum redial_status status;

    request.filter = stream->filter;
    request.cursor = stream->cursor;
    request.has_wait_ms = true;
    request.wait_ms = wait_ms;
    status = cli_wait_call(stream->cli, &cli_watch, &request.base, wait_ms,
                           &response);
    if (status != REDIAL_OK) {
        return status;
    }
    answer = (const Redial__V1__WatchResponse *)response.message;
    take_events(stream, answer);
    stream->is_at_head = is_same(answer->cursor, answer->head);
    if (answer->cursor != NULL) {
        free(stream->cursor);
        stream->cursor = strdup(answer->cursor);
    }
    redial_i_response_fini(&response);
    return REDIAL_OK;
}

/* ---- Finding a place ---------------------------------------------------- */

/* An answer to a Watch that does not wait; NULL: cli->error says why. */
static const Redial__V1__WatchResponse *
look(struct cli *cli, char *cursor, struct redial_i_response *ret_response)
{
    Redial__V1__WatchRequest request = REDIAL__V1__WATCH_REQUEST__INIT;

    request.cursor = cursor;
    request.has_max = true;
    request.max = 1;
    request.has_wait_ms = true;
    if (cli_call(cli, &cli_watch, &request.base, 0, ret_response) !=
        REDIAL_OK) {
        return NULL;
    }
    return (const Redial__V1__WatchResponse *)ret_response->message;
}

static char *
copy(const char *string)
{
    return strdup(string != NULL ? string : "");
}

char *
stream_head(struct cli *cli)
{
    struct redial_i_response response;
    const Redial__V1__WatchResponse *answer = look(cli, NULL, &response);
    char *head;

    if (answer == NULL) {
        return NULL;
    }
    head = copy(answer->head);
    redial_i_response_fini(&response);
    return head;
}

/* Takes "epoch:seq" apart; false: it is none. */
static bool
split_cursor(const char *cursor, char *ret_epoch, uint64_t *ret_seq)
{
    const char *colon = cursor != NULL ? strrchr(cursor, ':') : NULL;
    char *end;

    if (colon == NULL || colon - cursor >= CURSOR_BYTES || colon[1] < '0' ||
        colon[1] > '9') {
        return false;
    }
    *ret_seq = strtoull(colon + 1, &end, 10);
    (void)snprintf(ret_epoch, CURSOR_BYTES, "%.*s", (int)(colon - cursor),
                   cursor);
    return *end == '\0';
}

bool
stream_is_behind(const char *cursor, const char *place)
{
    char epoch[CURSOR_BYTES];
    char place_epoch[CURSOR_BYTES];
    uint64_t seq;
    uint64_t place_seq;

    return split_cursor(cursor, epoch, &seq) &&
           split_cursor(place, place_epoch, &place_seq) &&
           strcmp(epoch, place_epoch) == 0 && seq >= place_seq;
}

/* 1: the first event behind `seq` is not older; 0: older; -1: failed. */
static int
is_since(struct cli *cli, const char *epoch, uint64_t seq, int64_t wall_ms)
{
    char cursor[CURSOR_BYTES + 24];
    struct redial_i_response response;
    const Redial__V1__WatchResponse *answer;
    int result;

    (void)snprintf(cursor, sizeof(cursor), "%s:%" PRIu64, epoch, seq);
    answer = look(cli, cursor, &response);
    if (answer == NULL) {
        return -1;
    }
    result = answer->n_events == 0 || answer->events[0]->wall_ms >= wall_ms;
    redial_i_response_fini(&response);
    return result;
}

char *
stream_since(struct cli *cli, int64_t wall_ms)
{
    struct redial_i_response response;
    const Redial__V1__WatchResponse *answer = look(cli, NULL, &response);
    char epoch[CURSOR_BYTES];
    char cursor[CURSOR_BYTES + 24];
    uint64_t low = 0;
    uint64_t high = 0;

    if (answer == NULL) {
        return NULL;
    }
    if (!split_cursor(answer->first_kept, epoch, &low) ||
        !split_cursor(answer->head, epoch, &high)) {
        high = 0;
        (void)snprintf(epoch, sizeof(epoch), "%s", "");
    }
    redial_i_response_fini(&response);
    low = low > 0 ? low - 1 : 0;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        int since = is_since(cli, epoch, middle, wall_ms);

        if (since < 0) {
            return NULL;
        }
        if (since > 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    (void)snprintf(cursor, sizeof(cursor), "%s:%" PRIu64, epoch, low);
    return copy(epoch[0] != '\0' ? cursor : "start");
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "server/replay/replay.h"

#include "server/net/codec_read_events.h"
#include "server/replay/report.h"

#include <stdlib.h>

enum { REPORT_BYTES_MAX = 64 * 1024 * 1024 };

/* ---- Reading ----------------------------------------------------------- */

struct input {
    FILE *from;
    FILE *errors;
    uint8_t *frame;
    size_t frame_max;
    uint64_t frames;
    struct history *history;
};

static bool
on_event(void *ctx, const struct record *record)
{
    struct input *input = ctx;

    return history_add(input->history, record);
}

static void
on_gap(void *ctx)
{
    struct input *input = ctx;

    input->history->gaps++;
}

static enum replay_result
bad_input(const struct input *input, const char *what)
{
    (void)fprintf(input->errors, "redial-gateway: events, frame %llu: %s\n",
                  (unsigned long long)input->frames + 1, what);
    return REPLAY_BAD_INPUT;
}

/* Reads the next frame. *ret_len 0: there is none. */
static enum replay_result
read_frame(struct input *input, size_t *ret_len)
{
    uint8_t head[4];
    size_t got = fread(head, 1, sizeof(head), input->from);

    *ret_len = 0;
    if (got == 0 && feof(input->from)) {
        return REPLAY_DONE;
    }
    if (got < sizeof(head)) {
        return bad_input(input, "ends within its length");
    }
    size_t len = (size_t)head[0] << 24 | (size_t)head[1] << 16 |
                 (size_t)head[2] << 8 | head[3];

    if (len > REPLAY_FRAME_BYTES_MAX) {
        return bad_input(input, "longer than 16 MiB");
    }
    if (len > input->frame_max) {
        uint8_t *grown = realloc(input->frame, len);

        if (grown == NULL) {
            return REPLAY_NO_MEMORY;
        }
        input->frame = grown;
        input->frame_max = len;
    }
    if (fread(input->frame, 1, len, input->from) < len) {
        return bad_input(input, "shorter than it says");
    }
    *ret_len = len;
    return REPLAY_DONE;
}

static enum replay_result
read_all(struct input *input)
{
    struct codec_event_reader reader = {
        .ctx = input, .event = on_event, .gap = on_gap};
    struct wire_arena arena;
    struct wire_error error;
    enum replay_result result;
    size_t len;

    wire_arena_init(&arena, NULL, 0);
    while ((result = read_frame(input, &len)) == REPLAY_DONE && len > 0) {
        struct text frame = {.at = (const char *)input->frame,
                             .len = (uint32_t)len};

        if (codec_read_events(frame, &arena, &reader, &error) != REDIAL_OK) {
            result = error.status == REDIAL_RESOURCE_EXHAUSTED
                         ? REPLAY_NO_MEMORY
                         : bad_input(input, error.text);
            break;
        }
        input->frames++;
    }
    wire_arena_fini(&arena);
    return result;
}

/* ---- The whole --------------------------------------------------------- */

static enum replay_result
write_report(const struct history *history, const struct tellings *tellings,
             const struct replay_options *options, FILE *out)
{
    struct bytes text;

    bytes_init(&text, REPORT_BYTES_MAX);
    if (options->json) {
        report_json(history, tellings, options, &text);
    } else {
        report_text(history, tellings, options, &text);
    }
    bool good = !text.failed && fwrite(text.at, 1, text.len, out) == text.len &&
                fflush(out) == 0;

    bytes_fini(&text);
    return good ? REPLAY_DONE : REPLAY_NO_OUTPUT;
}

static enum replay_result
replay(const struct history *history, const struct replay_options *options,
       FILE *out)
{
    size_t count = (size_t)history->job_count + 1;
    struct replayed *recorded = calloc(count, sizeof(*recorded));
    struct replayed *repeated = calloc(count, sizeof(*repeated));
    struct replayed *hopeful = calloc(count, sizeof(*hopeful));
    int64_t *scratch = calloc(count, sizeof(*scratch));
    enum replay_result result = REPLAY_NO_MEMORY;

    if (recorded != NULL && repeated != NULL && hopeful != NULL &&
        scratch != NULL &&
        world_run(history, options->policy, options->attempts_limit,
                  BEYOND_REPEATS, repeated) &&
        world_run(history, options->policy, options->attempts_limit,
                  BEYOND_SUCCEEDS, hopeful)) {
        struct tellings tellings = {.recorded = recorded,
                                    .repeated = repeated,
                                    .hopeful = hopeful,
                                    .scratch = scratch};

        figures_of_record(history, recorded);
        result = write_report(history, &tellings, options, out);
    }
    free(recorded);
    free(repeated);
    free(hopeful);
    free(scratch);
    return result;
}

enum replay_result
replay_run(const struct replay_options *options, FILE *in, FILE *out,
           FILE *errors)
{
    struct history history = {.text_count = 0};
    struct input input = {.from = in, .errors = errors, .history = &history};
    enum replay_result result = REPLAY_NO_MEMORY;

    if (history_init(&history)) {
        result = read_all(&input);
    }
    if (result == REPLAY_DONE) {
        result = replay(&history, options, out);
    }
    free(input.frame);
    history_fini(&history);
    return result;
}

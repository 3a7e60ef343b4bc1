/* SPDX-License-Identifier: Apache-2.0 */
/* The result of a replay as a page for people or as JSON for programs. */
#ifndef REDIAL_SERVER_REPLAY_REPORT_H
#define REDIAL_SERVER_REPLAY_REPORT_H

#include "server/base/bytes.h"
#include "server/replay/figures.h"
#include "server/replay/replay.h"

/* The three tellings of the same jobs. */
struct tellings {
    const struct replayed *recorded;
    const struct replayed *repeated; /* beyond the record: as before */
    const struct replayed *hopeful;  /* beyond the record: all succeed */
    int64_t *scratch;                /* room for one number a job */
};

/* Appends; check out->failed once at the end. */
void
report_text(const struct history *history, const struct tellings *tellings,
            const struct replay_options *options, struct bytes *out);

void
report_json(const struct history *history, const struct tellings *tellings,
            const struct replay_options *options, struct bytes *out);

#endif

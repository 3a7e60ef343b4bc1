/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wants music for a topic. The service has been down for weeks: the gateway
 * tries as often as the policy allows, and then says so.
 *
 *     composer CORRELATION-ID TOPIC-FILE MUSIC-FILE
 */
#include "client/examples/pipeline/studio.h"

#include <stdio.h>
#include <stdlib.h>

int
main(int argc, char **argv)
{
    struct task task = {
        .agent = "composer",
        .service = "music.Composer",
        .method = "Compose",
        .content_type = "text/plain",
    };
    enum studio_exit result;

    if (argc != 4) {
        (void)fprintf(stderr, "usage: %s CORRELATION-ID TOPIC MUSIC\n",
                      argv[0]);
        return STUDIO_USAGE;
    }
    text_add_file(&task.payload, argv[2]);
    result = studio_run(&task, argv[1], argv[3]);
    free(task.payload.bytes);
    return (int)result;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds a story about a topic.
 *
 *     story-finder CORRELATION-ID TOPIC-FILE STORY-FILE
 */
#include "client/examples/pipeline/studio.h"

#include <stdio.h>
#include <stdlib.h>

int
main(int argc, char **argv)
{
    struct task task = {
        .agent = "story-finder",
        .service = "story.StoryFinder",
        .method = "Find",
        .content_type = "text/plain",
    };
    enum studio_exit result;

    if (argc != 4) {
        (void)fprintf(stderr, "usage: %s CORRELATION-ID TOPIC STORY\n",
                      argv[0]);
        return STUDIO_USAGE;
    }
    text_add_file(&task.payload, argv[2]);
    result = studio_run(&task, argv[1], argv[3]);
    free(task.payload.bytes);
    return (int)result;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes a video of pictures and the sound, which comes last.
 *
 *     editor CORRELATION-ID IMAGE-FILE... SOUND-FILE VIDEO-FILE
 */
#include "client/examples/pipeline/studio.h"

#include <stdio.h>
#include <stdlib.h>

int
main(int argc, char **argv)
{
    struct task task = {
        .agent = "editor",
        .service = "video.VideoRender",
        .method = "Render",
        .content_type = "application/octet-stream",
    };
    enum studio_exit result;

    if (argc < 5) {
        (void)fprintf(stderr, "usage: %s CORRELATION-ID IMAGE... SOUND VIDEO\n",
                      argv[0]);
        return STUDIO_USAGE;
    }
    for (int i = 2; i < argc - 1; i++) {
        text_add_file(&task.payload, argv[i]);
    }
    result = studio_run(&task, argv[1], argv[argc - 1]);
    free(task.payload.bytes);
    return (int)result;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the script of a story: a line for each scene. A script that does not
 * pass validation is written again, because the gateway's policy lists the
 * reason SCRIPT_VALIDATION; nothing here knows of it.
 *
 *     script-writer CORRELATION-ID STORY-FILE SCRIPT-FILE
 */
#include "client/examples/pipeline/studio.h"

#include <stdio.h>
#include <stdlib.h>

int
main(int argc, char **argv)
{
    struct task task = {
        .agent = "script-writer",
        .service = "script.ScriptWriter",
        .method = "Write",
        .content_type = "text/plain",
    };
    enum studio_exit result;

    if (argc != 4) {
        (void)fprintf(stderr, "usage: %s CORRELATION-ID STORY SCRIPT\n",
                      argv[0]);
        return STUDIO_USAGE;
    }
    text_add_file(&task.payload, argv[2]);
    result = studio_run(&task, argv[1], argv[3]);
    free(task.payload.bytes);
    return (int)result;
}

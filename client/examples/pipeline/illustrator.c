/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Draws one scene of a script. One process for each scene: how many may draw
 * at a time is the gateway's business.
 *
 *     illustrator CORRELATION-ID SCRIPT-FILE SCENE IMAGE-FILE
 */
#include "client/examples/pipeline/studio.h"

#include <stdio.h>
#include <stdlib.h>

int
main(int argc, char **argv)
{
    struct task task = {
        .agent = "illustrator",
        .service = "image.ImageGen",
        .method = "Generate",
        .content_type = "text/plain",
    };
    struct text script = {0};
    enum studio_exit result;
    unsigned long scene = argc == 5 ? strtoul(argv[3], NULL, 10) : 0;

    if (scene < 1 || scene > 99) {
        (void)fprintf(stderr, "usage: %s CORRELATION-ID SCRIPT SCENE IMAGE\n",
                      argv[0]);
        return STUDIO_USAGE;
    }
    text_add_file(&script, argv[2]);
    task.payload = script_field(&script, (unsigned)scene, 1);
    result = studio_run(&task, argv[1], argv[4]);
    free(task.payload.bytes);
    free(script.bytes);
    return (int)result;
}

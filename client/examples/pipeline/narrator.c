/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Speaks what is told in all scenes of a script.
 *
 *     narrator CORRELATION-ID SCRIPT-FILE SCENES SOUND-FILE
 */
#include "client/examples/pipeline/studio.h"

#include <stdio.h>
#include <stdlib.h>

int
main(int argc, char **argv)
{
    struct task task = {
        .agent = "narrator",
        .service = "voice.VoiceSynth",
        .method = "Speak",
        .content_type = "text/plain",
    };
    struct text script = {0};
    enum studio_exit result;
    unsigned long scenes = argc == 5 ? strtoul(argv[3], NULL, 10) : 0;

    if (scenes < 1 || scenes > 99) {
        (void)fprintf(stderr, "usage: %s CORRELATION-ID SCRIPT SCENES SOUND\n",
                      argv[0]);
        return STUDIO_USAGE;
    }
    text_add_file(&script, argv[2]);
    for (unsigned scene = 1; scene <= scenes; scene++) {
        struct text told = script_field(&script, scene, 2);

        text_add(&task.payload, told.bytes, told.len);
        text_add(&task.payload, "\n", 1);
        free(told.bytes);
    }
    result = studio_run(&task, argv[1], argv[4]);
    free(task.payload.bytes);
    free(script.bytes);
    return (int)result;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Which jobs are taken from the wire: every limit at, below and above. */
#include "proto/limits.h"
#include "server/net/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct codec_rules rules = {.hash_keys = {{{1, 2}}, {{3, 4}}}};

static Redial__V1__JobSpec
good(void)
{
    Redial__V1__JobSpec spec = REDIAL__V1__JOB_SPEC__INIT;

    spec.service = unconst("image.ImageGen");
    spec.method = unconst("Generate");
    return spec;
}

static void
accept_spec(const Redial__V1__JobSpec *spec)
{
    struct engine_submit job;
    struct wire_error error;
    bool has_id;

    assert_int_equal(codec_submit(spec, &rules, &job, &has_id, &error),
                     REDIAL_OK);
}

/* Refused, naming the field. */
static void
refuse_spec(const Redial__V1__JobSpec *spec, const char *field)
{
    struct engine_submit job;
    struct wire_error error;
    bool has_id;

    assert_int_equal(codec_submit(spec, &rules, &job, &has_id, &error),
                     REDIAL_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, field));
}

static char *
repeated(char c, size_t count)
{
    char *string = malloc(count + 1);

    memset(string, c, count);
    string[count] = '\0';
    return string;
}

static void
service_and_method_are_needed(void **state)
{
    Redial__V1__JobSpec spec = good();

    (void)state;
    accept_spec(&spec);
    spec.service = NULL;
    refuse_spec(&spec, "service");
    spec = good();
    spec.method = unconst("");
    refuse_spec(&spec, "method");
}

static void
names_have_at_most_128_bytes(void **state)
{
    char *fits = repeated('k', 128);
    char *over = repeated('k', 129);
    Redial__V1__JobSpec spec = good();

    (void)state;
    spec.key = fits;
    spec.correlation_id = fits;
    spec.tenant = fits;
    accept_spec(&spec);
    spec.key = over;
    refuse_spec(&spec, "key");
    spec = good();
    spec.correlation_id = over;
    refuse_spec(&spec, "correlation_id");
    spec = good();
    spec.tenant = unconst("two words");
    refuse_spec(&spec, "tenant");
    free(fits);
    free(over);
}

static void
a_payload_of_the_limit_fits_and_one_byte_more_does_not(void **state)
{
    uint8_t *payload = calloc(1, WIRE_PAYLOAD_BYTES_MAX + 1);
    Redial__V1__JobSpec spec = good();

    (void)state;
    spec.has_payload = true;
    spec.payload.data = payload;
    spec.payload.len = WIRE_PAYLOAD_BYTES_MAX;
    accept_spec(&spec);
    spec.payload.len = WIRE_PAYLOAD_BYTES_MAX + 1;
    refuse_spec(&spec, "payload");
    free(payload);
}

static void
only_one_form_of_payload_may_be_given(void **state)
{
    Redial__V1__JobSpec spec = good();

    (void)state;
    spec.payload_text = unconst("a");
    accept_spec(&spec);
    spec.payload_json = unconst("{}");
    refuse_spec(&spec, "payload");
}

static void
priorities_are_0_to_9(void **state)
{
    Redial__V1__JobSpec spec = good();

    (void)state;
    spec.priority = 9;
    accept_spec(&spec);
    spec.priority = 10;
    refuse_spec(&spec, "priority");
}

static void
an_id_must_be_a_uuid(void **state)
{
    Redial__V1__JobSpec spec = good();

    (void)state;
    spec.id = unconst("01932c07-9c5b-7000-8000-000000000001");
    accept_spec(&spec);
    spec.id = unconst("01932c07");
    refuse_spec(&spec, "id");
}

static void
metadata_has_32_entries_and_8_kib(void **state)
{
    Redial__V1__Metadata pair = REDIAL__V1__METADATA__INIT;
    Redial__V1__Metadata *list[33];
    uint8_t *value = calloc(1, 8192);
    Redial__V1__JobSpec spec = good();

    (void)state;
    pair.key = unconst("k");
    for (size_t i = 0; i < 33; i++) {
        list[i] = &pair;
    }
    spec.metadata = list;
    spec.n_metadata = 32;
    accept_spec(&spec);
    spec.n_metadata = 33;
    refuse_spec(&spec, "metadata");
    spec.n_metadata = 1;
    pair.has_value = true;
    pair.value = (ProtobufCBinaryData){8191, value};
    accept_spec(&spec);
    pair.value.len = 8192;
    refuse_spec(&spec, "metadata");
    free(value);
}

static void
a_key_has_the_same_hash_only_in_its_tenant(void **state)
{
    Redial__V1__JobSpec spec = good();
    struct engine_submit a;
    struct engine_submit b;
    struct wire_error error;
    bool has_id;

    (void)state;
    spec.key = unconst("k");
    assert_int_equal(codec_submit(&spec, &rules, &a, &has_id, &error), 0);
    assert_false(has_id);
    spec.tenant = unconst("t");
    assert_int_equal(codec_submit(&spec, &rules, &b, &has_id, &error), 0);
    assert_memory_not_equal(a.key_hash, b.key_hash, 16);
    assert_memory_equal(a.content_hash, b.content_hash, 16);
    spec.payload_text = unconst("other");
    assert_int_equal(codec_submit(&spec, &rules, &a, &has_id, &error), 0);
    assert_memory_equal(a.key_hash, b.key_hash, 16);
    assert_memory_not_equal(a.content_hash, b.content_hash, 16);
}

static int
use_the_limits_of_the_wire(void **state)
{
    (void)state;
    codec_limits_default(&rules.limits);
    return 0;
}

static void
an_operator_may_set_lower_limits(void **state)
{
    Redial__V1__JobSpec spec = good();

    (void)state;
    rules.limits.name_bytes_max = 4;
    spec.key = unconst("1234");
    accept_spec(&spec);
    spec.key = unconst("12345");
    refuse_spec(&spec, "at most 4");
}

static void
a_text_is_not_cut_inside_a_character(void **state)
{
    static struct scratch scratch;
    static char text[SCRATCH_BYTES + 2];
    char *copy;

    (void)state;
    for (size_t i = 0; i + 1 < sizeof(text); i += 2) {
        memcpy(text + i, "\xc3\xa9", 2);
    }
    scratch_clear(&scratch);
    copy = scratch_text(&scratch, (struct text){text, sizeof(text)});
    assert_int_equal(strlen(copy), SCRATCH_BYTES - 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(service_and_method_are_needed),
        cmocka_unit_test(a_text_is_not_cut_inside_a_character),
        cmocka_unit_test(names_have_at_most_128_bytes),
        cmocka_unit_test(
            a_payload_of_the_limit_fits_and_one_byte_more_does_not),
        cmocka_unit_test(only_one_form_of_payload_may_be_given),
        cmocka_unit_test(priorities_are_0_to_9),
        cmocka_unit_test(an_id_must_be_a_uuid),
        cmocka_unit_test(metadata_has_32_entries_and_8_kib),
        cmocka_unit_test(a_key_has_the_same_hash_only_in_its_tenant),
        cmocka_unit_test(an_operator_may_set_lower_limits),
    };

    return cmocka_run_group_tests(tests, use_the_limits_of_the_wire, NULL);
}

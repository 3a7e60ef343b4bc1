/* SPDX-License-Identifier: Apache-2.0 */
#include "server/plugins/codes.h"

#include <stdlib.h>
#include <string.h>

static bool
is_number(const char *text, long min, long max)
{
    size_t len = strspn(text, "0123456789");
    if (len == 0 || len > 9 || text[len] != '\0') {
        return false;
    }
    long number = strtol(text, NULL, 10);
    return number >= min && number <= max;
}

static bool
is_reason(const char *key, const struct codes_domain *domain)
{
    size_t prefix_len = strlen(domain->prefix);
    if (strncmp(key, domain->prefix, prefix_len) == 0 &&
        is_number(key + prefix_len, domain->min, domain->max)) {
        return true;
    }
    for (size_t i = 0; domain->words[i] != NULL; i++) {
        const char *word = domain->words[i];
        size_t len = strlen(word);
        if (strcmp(key, word) == 0 && word[len - 1] != '_') {
            return true;
        }
        if (word[len - 1] == '_' && strncmp(key, word, len) == 0 &&
            is_number(key + len, 1, 999)) {
            return true;
        }
    }
    return is_number(key, domain->min, domain->max);
}

bool
codes_check(const struct setting_map *codes, const struct codes_domain *domain,
            struct setting_error *error)
{
    bool good = true;
    for (uint32_t i = 0; i < codes->count; i++) {
        enum redial_status code;
        if (!is_reason(codes->keys[i], domain)) {
            settings_complain(error,
                              "$.codes.%s: is no reason; %ld to %ld, %s%ld "
                              "and so on are",
                              codes->keys[i], domain->min, domain->max,
                              domain->prefix, domain->min);
            good = false;
        }
        if (redial_status_from_name(codes->values[i], &code) == 0) {
            settings_complain(error, "$.codes.%s: \"%s\" is no status code",
                              codes->keys[i], codes->values[i]);
            good = false;
        }
    }
    return good;
}

enum redial_status
codes_find(const struct setting_map *codes, const struct codes_domain *domain,
           const char *reason, enum redial_status otherwise)
{
    size_t prefix_len = strlen(domain->prefix);
    const char *number = strncmp(reason, domain->prefix, prefix_len) == 0
                             ? reason + prefix_len
                             : reason;
    enum redial_status code = otherwise;
    for (uint32_t i = 0; i < codes->count; i++) {
        if (strcmp(codes->keys[i], reason) == 0 ||
            strcmp(codes->keys[i], number) == 0) {
            (void)redial_status_from_name(codes->values[i], &code);
            break;
        }
    }
    return code;
}

# SPDX-License-Identifier: Apache-2.0
"""Who may include whom: the layer table of the architecture.

The longest folder that fits a file decides. A pattern that ends in "/" stands
for the folder and everything below it, another for that file (with "*").
"""

STATUS = ("redial/status.h", "redial/status.def")

# Folder -> what it may include of the project, besides itself.
MAY_INCLUDE = {
    "include/redial": ("redial/",),
    "proto": ("redial/",),
    "server/base": STATUS,
    "server/core": ("server/base/",) + STATUS,
    "server/store": ("server/base/", "server/core/") + STATUS,
    "server/net": ("server/base/", "server/core/", "proto/") + STATUS,
    "server/events": ("server/base/", "server/core/",
                      "server/store/store.h", "proto/") + STATUS,
    "server/config": ("server/base/", "server/core/") + STATUS,
    "server/plugins": ("server/base/", "server/core/", "redial/"),
    "server/admin": ("server/base/", "server/core/", "server/store/",
                     "server/net/", "server/events/", "server/config/",
                     "server/plugins/", "redial/"),
    "server/replay": ("server/base/", "server/core/", "server/net/codec*",
                      "server/config/json_out.h", "proto/") + STATUS,
    "server/app": ("server/", "proto/", "redial/"),
    "client": ("proto/", "redial/"),
    "client/cli": ("client/", "proto/", "redial/"),
    "client/examples": ("redial/",),
    "tests": ("server/", "client/", "proto/", "redial/", "tests/"),
}

# Third-party headers -> where they are at home. Everyone else goes through the
# module that lives there. Tests may use all of them.
QUARANTINE = (
    ("nng/", ("server/net/", "client/")),
    ("protobuf-c/", ("proto/", "server/net/", "client/")),
    ("redial/v1/", ("proto/", "server/net/codec*", "client/")),
    ("sqlite3.h", ("server/store/",)),
    ("cjson/", ("server/config/", "server/plugins/settings*", "proto/",
                "client/cli/")),
    ("cJSON.h", ("server/config/", "proto/", "client/cli/")),
    ("curl/", ("server/plugins/http*", "server/plugins/http/")),
    ("microhttpd.h", ("server/admin/",)),
    ("cmocka.h", ()),
)

# Folders of system headers, for telling them from unknown libraries.
SYSTEM_FOLDERS = ("sys/", "netinet/", "arpa/", "net/", "linux/", "asm/",
                  "bits/")

# The only system headers of the two pure layers.
CORE_HEADERS = ("errno.h", "float.h", "inttypes.h", "limits.h", "math.h",
                "stdalign.h", "stdbool.h", "stddef.h", "stdint.h", "stdlib.h",
                "string.h")
BASE_HEADERS = CORE_HEADERS + ("ctype.h", "stdarg.h", "stdatomic.h", "stdio.h",
                               "strings.h", "time.h", "sys/random.h")

# What the archives of the two pure layers may leave undefined: the proof that
# they do no I/O. Names that an archive of the list before defines are fine.
RUNTIME_SYMBOLS = (
    "__stack_chk_fail", "_GLOBAL_OFFSET_TABLE_", "__memcpy_chk",
    "__memmove_chk", "__memset_chk", "__memcmp_chk", "__strncpy_chk",
)
PURE_SYMBOLS = (
    "memchr", "memcmp", "memcpy", "memmove", "memset", "strcmp", "strlen",
    "strncmp", "strnlen", "bsearch", "qsort",
    # Allocation: at construction only, which the fault tests check.
    "calloc", "free", "malloc", "realloc",
    # Arithmetic.
    "ceil", "exp", "exp2", "floor", "fmod", "ldexp", "llround", "log", "pow",
    "round",
)
CORE_SYMBOLS = RUNTIME_SYMBOLS + PURE_SYMBOLS
BASE_SYMBOLS = CORE_SYMBOLS + (
    "__ctype_b_loc", "__ctype_tolower_loc", "__errno_location",
    "aligned_alloc", "strtod", "strtoll", "strtoull", "snprintf", "vsnprintf",
    "__snprintf_chk", "__vsnprintf_chk", "__isoc99_sscanf",
    # The system clock and the seed of the random source.
    "clock_gettime", "getrandom", "gmtime_r", "timegm",
    # A failed check says where and stops.
    "abort", "stderr", "fprintf", "__fprintf_chk", "fputs", "fflush", "fwrite",
    "fputc",
)

# Archive -> (allowed names, archives whose names are fine as well).
PURE_ARCHIVES = {
    "libredial_base.a": (BASE_SYMBOLS, ()),
    "libredial_core.a": (CORE_SYMBOLS, ("libredial_base.a",)),
}

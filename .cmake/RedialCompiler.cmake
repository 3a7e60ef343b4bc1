# SPDX-License-Identifier: Apache-2.0
#
# How our own code is compiled. Everything hangs on interface targets that our
# targets link; nothing is set globally, so that generated code and a project
# that includes us are left alone.
#
#   redial_warnings    the warnings (errors only where a preset says so)
#   redial_hardening   what a network daemon should be built with
#   redial_sanitizers  sanitizers, coverage, fuzzing: whatever was asked for

include(CheckCCompilerFlag)
include(CheckLinkerFlag)

# Adds each flag that the compiler knows.
function(redial_probe_compile_flags target)
  foreach(flag IN LISTS ARGN)
    string(MAKE_C_IDENTIFIER "redial_has${flag}" known)
    # -Werror: clang only warns about a warning flag that it does not know.
    set(CMAKE_REQUIRED_FLAGS -Werror)
    check_c_compiler_flag(${flag} ${known})
    if(${known})
      target_compile_options(${target} INTERFACE ${flag})
    endif()
  endforeach()
endfunction()

# Adds each flag that the linker knows.
function(redial_probe_link_flags target)
  foreach(flag IN LISTS ARGN)
    string(MAKE_C_IDENTIFIER "redial_has_link${flag}" known)
    check_linker_flag(C ${flag} ${known})
    if(${known})
      target_link_options(${target} INTERFACE ${flag})
    endif()
  endforeach()
endfunction()

add_library(redial_warnings INTERFACE)
redial_probe_compile_flags(redial_warnings
  -Wall
  -Walloca
  -Wcast-align
  -Wcast-qual
  -Wconversion
  -Wcovered-switch-default
  -Wdate-time
  -Wduplicated-branches
  -Wduplicated-cond
  -Wextra
  -Wfloat-conversion
  -Wformat=2
  -Wimplicit-fallthrough
  -Wlogical-op
  -Wmissing-declarations
  -Wmissing-prototypes
  -Wnull-dereference
  -Wold-style-definition
  -Wpedantic
  -Wpointer-arith
  -Wredundant-decls
  -Wshadow
  -Wsign-conversion
  -Wstrict-prototypes
  -Wswitch-enum
  -Wthread-safety
  -Wundef
  -Wunused-macros
  -Wvla
  -Wwrite-strings
)
# A designated initialiser leaves the rest zero: that is the point of it.
redial_probe_compile_flags(redial_warnings -Wno-missing-field-initializers)

add_library(redial_hardening INTERFACE)
if(REDIAL_HARDENING)
  redial_probe_compile_flags(redial_hardening
    -fcf-protection
    -fno-delete-null-pointer-checks
    -fno-strict-overflow
    -fstack-clash-protection
    -fstack-protector-strong
  )
  redial_probe_link_flags(redial_hardening
    -Wl,-z,noexecstack
    -Wl,-z,now
    -Wl,-z,relro
  )
  # Fortified calls need the optimiser and hide errors from the sanitizers,
  # whose libraries leave symbols undefined until the program is linked.
  if(NOT REDIAL_SANITIZE AND NOT REDIAL_COVERAGE AND NOT REDIAL_FUZZ)
    target_compile_options(redial_hardening INTERFACE
      "$<$<NOT:$<CONFIG:Debug>>:SHELL:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2>"
    )
    redial_probe_link_flags(redial_hardening -Wl,-z,defs)
  endif()
endif()

add_library(redial_sanitizers INTERFACE)
set(redial_sanitize ${REDIAL_SANITIZE})
if(REDIAL_FUZZ AND NOT redial_sanitize)
  set(redial_sanitize address,undefined)
endif()
if(redial_sanitize)
  target_compile_options(redial_sanitizers INTERFACE
    -fsanitize=${redial_sanitize}
    -fno-sanitize-recover=all
    -fno-omit-frame-pointer
    -O1
    -g
  )
  target_link_options(redial_sanitizers INTERFACE
    -fsanitize=${redial_sanitize}
  )
endif()
if(REDIAL_FUZZ)
  if(NOT CMAKE_C_COMPILER_ID MATCHES Clang)
    message(FATAL_ERROR "REDIAL_FUZZ needs clang: use the preset fuzz")
  endif()
  target_compile_options(redial_sanitizers INTERFACE
    -fsanitize=fuzzer-no-link
  )
endif()
if(REDIAL_COVERAGE)
  target_compile_options(redial_sanitizers INTERFACE --coverage -O0 -g)
  target_compile_definitions(redial_sanitizers INTERFACE REDIAL_COVERAGE=1)
  target_link_options(redial_sanitizers INTERFACE --coverage)
endif()

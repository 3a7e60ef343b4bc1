# SPDX-License-Identifier: Apache-2.0
#
# The kinds of targets that Redial consists of. A folder's CMakeLists.txt only
# names what it has:
#
#   redial_layer(core SOURCES job.c engine.c LINKS redial_base)
#   redial_program(redial-gateway SOURCES main.c LINKS redial_core)
#   redial_client_library(SOURCES call.c LINKS redial_proto nng::nng)
#   redial_protobuf(redial_schemas redial/v1/job.proto redial/v1/rpc.proto)
#   redial_test(heap SOURCES test_heap.c LINKS redial_base)
#   redial_test_command(quickstart COMMAND bash ${script} TIMEOUT 120)
#   redial_fuzz(frame SOURCES fuzz_frame.c LINKS redial_net)
#
# Include paths start at the top of the repository: "server/base/heap.h",
# "proto/wire.h", <redial/client.h>.

# What all our own code has in common.
function(redial_compile target)
  set_target_properties(${target} PROPERTIES
    C_STANDARD 11
    C_STANDARD_REQUIRED ON
    C_EXTENSIONS OFF
    C_VISIBILITY_PRESET hidden
    POSITION_INDEPENDENT_CODE ON
  )
  # POSIX and Linux interfaces, which -std=c11 would hide.
  target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
  target_include_directories(${target} PRIVATE
    ${PROJECT_SOURCE_DIR}
    ${PROJECT_SOURCE_DIR}/include
  )
  target_link_libraries(${target} PRIVATE
    redial_warnings
    redial_hardening
    redial_sanitizers
  )
endfunction()

# redial_layer(<name> SOURCES <file>... [LINKS <target>...])
#
# The static library redial_<name>: one folder, one layer. LINKS reach whoever
# links the layer.
function(redial_layer name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LINKS")
  add_library(redial_${name} STATIC ${arg_SOURCES})
  redial_compile(redial_${name})
  target_link_libraries(redial_${name} PUBLIC ${arg_LINKS})
endfunction()

# redial_program(<name> SOURCES <file>... [LINKS <target>...] [NO_INSTALL])
#
# An executable, found as <build>/bin/<name>.
function(redial_program name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "NO_INSTALL" "" "SOURCES;LINKS")
  add_executable(${name} ${arg_SOURCES})
  redial_compile(${name})
  target_link_libraries(${name} PRIVATE ${arg_LINKS})
  set_target_properties(${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin
  )
  if(NOT arg_NO_INSTALL)
    install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
endfunction()

# redial_client_library(SOURCES <file>... [LINKS <target>...])
#
# libredial, compiled once and linked twice: redial_client is the shared
# library that users get (only exported names), redial_client_static the same
# objects with every name in reach, for unit tests.
function(redial_client_library)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "" "SOURCES;LINKS")
  add_library(redial_client_objects OBJECT ${arg_SOURCES})
  redial_compile(redial_client_objects)
  target_link_libraries(redial_client_objects PRIVATE ${arg_LINKS})

  add_library(redial_client SHARED $<TARGET_OBJECTS:redial_client_objects>)
  add_library(redial::client ALIAS redial_client)
  redial_compile(redial_client)
  target_link_libraries(redial_client PRIVATE ${arg_LINKS})
  set_target_properties(redial_client PROPERTIES
    OUTPUT_NAME redial
    EXPORT_NAME client
    VERSION ${PROJECT_VERSION}
    SOVERSION 0
    LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib
  )

  add_library(redial_client_static STATIC
    $<TARGET_OBJECTS:redial_client_objects>
  )
  redial_compile(redial_client_static)
  target_link_libraries(redial_client_static PUBLIC ${arg_LINKS})

  foreach(target redial_client redial_client_static)
    target_include_directories(${target} INTERFACE
      $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
      $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
    )
    set_target_properties(${target} PROPERTIES LINKER_LANGUAGE C)
  endforeach()
endfunction()

# redial_protobuf(<target> <proto>...)
#
# A static library of the C code that protoc-c makes of the schemas, named
# relative to proto/. The code is written to the build tree only and is not
# ours to warn about. Users include "redial/v1/job.pb-c.h".
function(redial_protobuf target)
  set(root ${PROJECT_SOURCE_DIR}/proto)
  set(out ${PROJECT_BINARY_DIR}/generated)
  set(schemas ${ARGN})
  list(TRANSFORM schemas PREPEND ${root}/)
  set(generated)
  foreach(proto IN LISTS ARGN)
    string(REGEX REPLACE "[.]proto$" ".pb-c" stem ${out}/${proto})
    # A schema may import any other: each depends on all.
    add_custom_command(
      OUTPUT ${stem}.c ${stem}.h
      COMMAND ${CMAKE_COMMAND} -E make_directory ${out}
      COMMAND ${REDIAL_PROTOC_C} --c_out=${out} -I${root} ${root}/${proto}
      DEPENDS ${schemas}
      VERBATIM
    )
    list(APPEND generated ${stem}.c ${stem}.h)
  endforeach()
  add_library(${target} STATIC ${generated})
  set_target_properties(${target} PROPERTIES
    C_VISIBILITY_PRESET hidden
    POSITION_INDEPENDENT_CODE ON
    COMPILE_WARNING_AS_ERROR OFF
    EXPORT_COMPILE_COMMANDS OFF
  )
  target_compile_options(${target} PRIVATE -w)
  target_include_directories(${target} SYSTEM PUBLIC ${out})
  target_link_libraries(${target}
    PUBLIC PkgConfig::protobuf_c
    PRIVATE redial_hardening redial_sanitizers
  )
endfunction()

# Names a test after its folder: tests/unit/base + heap -> unit.base.heap.
function(redial_test_name name ret_name)
  file(RELATIVE_PATH folder
    ${PROJECT_SOURCE_DIR}/tests ${CMAKE_CURRENT_SOURCE_DIR}
  )
  string(REPLACE "/" "." folder "${folder}")
  set(${ret_name} ${folder}.${name} PARENT_SCOPE)
endfunction()

# What every registered test gets: labels (the first is its folder's), a time
# limit in seconds, exit code 77 for "skipped", one locale and one time zone,
# strict sanitizers. The label "long" keeps a test out of tests/run without
# --long.
function(redial_test_properties test labels timeout serial)
  string(REGEX REPLACE "[.].*" "" kind ${test})
  if(NOT timeout)
    set(timeout 60)
  endif()
  math(EXPR timeout "${timeout} * ${REDIAL_TEST_TIMEOUT_SCALE}")
  set(environment
    LC_ALL=C
    TZ=UTC
    REDIAL_SOURCE_DIR=${PROJECT_SOURCE_DIR}
    REDIAL_BUILD_DIR=${PROJECT_BINARY_DIR}
  )
  if(redial_sanitize)
    list(APPEND environment
      ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
      TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1
      UBSAN_OPTIONS=print_stacktrace=1
    )
  endif()
  set_tests_properties(${test} PROPERTIES
    LABELS "${kind};${labels}"
    TIMEOUT ${timeout}
    RUN_SERIAL ${serial}
    SKIP_RETURN_CODE 77
    ENVIRONMENT "${environment}"
  )
endfunction()

# redial_test(<name> [SOURCES <file>...] [LINKS <target>...]
#             [LABELS <label>...] [TIMEOUT <seconds>] [ARGS <argument>...]
#             [SERIAL])
#
# One cmocka program for one module. SOURCES is test_<name>.c unless given.
# In tests/unit/base the test heap is ctest's unit.base.heap and the program
# (and target) test_unit_base_heap.
function(redial_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg
    "SERIAL" "TIMEOUT" "SOURCES;LINKS;LABELS;ARGS"
  )
  if(NOT arg_SOURCES)
    set(arg_SOURCES test_${name}.c)
  endif()
  redial_test_name(${name} test)
  string(REPLACE "." "_" target test_${test})
  add_executable(${target} ${arg_SOURCES})
  redial_compile(${target})
  target_link_libraries(${target} PRIVATE ${arg_LINKS} PkgConfig::cmocka)
  add_test(NAME ${test} COMMAND ${target} ${arg_ARGS})
  redial_test_properties(${test}
    "${arg_LABELS}" "${arg_TIMEOUT}" ${arg_SERIAL}
  )
endfunction()

# redial_test_command(<name> COMMAND <word>... [LABELS <label>...]
#                     [TIMEOUT <seconds>] [SERIAL])
#
# A test that is a script or a program of its own. It finds the sources and the
# build by REDIAL_SOURCE_DIR and REDIAL_BUILD_DIR.
function(redial_test_command name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "SERIAL" "TIMEOUT" "COMMAND;LABELS")
  redial_test_name(${name} test)
  add_test(NAME ${test} COMMAND ${arg_COMMAND})
  redial_test_properties(${test}
    "${arg_LABELS}" "${arg_TIMEOUT}" ${arg_SERIAL}
  )
endfunction()

# redial_fuzz(<name> SOURCES <file>... [LINKS <target>...])
#
# A libFuzzer target <build>/fuzz/<name> with the corpus tests/fuzz/corpus/
# <name>; only in builds with REDIAL_FUZZ.
function(redial_fuzz name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LINKS")
  if(NOT REDIAL_FUZZ)
    return()
  endif()
  add_executable(fuzz_${name} ${arg_SOURCES})
  redial_compile(fuzz_${name})
  target_link_libraries(fuzz_${name} PRIVATE ${arg_LINKS})
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  set_target_properties(fuzz_${name} PROPERTIES
    OUTPUT_NAME ${name}
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/fuzz
  )
endfunction()

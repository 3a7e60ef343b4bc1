# SPDX-License-Identifier: Apache-2.0
#
# What was configured, in one look.

if(PROJECT_IS_TOP_LEVEL)
  list(JOIN redial_folders_built " " built)
  if(NOT redial_sanitize)
    set(redial_sanitize none)
  endif()
  foreach(line IN ITEMS
    "redial ${PROJECT_VERSION}"
    "  compiler       ${CMAKE_C_COMPILER_ID} ${CMAKE_C_COMPILER_VERSION}"
    "  build type     ${CMAKE_BUILD_TYPE}"
    "  warnings fatal ${CMAKE_COMPILE_WARNING_AS_ERROR}"
    "  hardening      ${REDIAL_HARDENING}"
    "  sanitizers     ${redial_sanitize}"
    "  coverage       ${REDIAL_COVERAGE}"
    "  fuzzing        ${REDIAL_FUZZ}"
    "  tests          ${REDIAL_BUILD_TESTS}"
    "  nng            ${nng_VERSION}"
    "  protobuf-c     ${protobuf_c_VERSION}"
    "  cJSON          ${cjson_VERSION}"
    "  SQLite         ${sqlite3_VERSION}"
    "  libcurl        ${curl_VERSION}"
    "  cmocka         ${cmocka_VERSION}"
    "  folders        ${built}"
  )
    message(STATUS "${line}")
  endforeach()
endif()

# SPDX-License-Identifier: Apache-2.0
#
# The libraries that we use, all from the distribution: see deploy/packages.
#
#   nng::nng             (Debian ships a CMake package and no .pc file)
#   PkgConfig::protobuf_c  PkgConfig::cjson  PkgConfig::sqlite3
#   PkgConfig::curl  PkgConfig::cmocka

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(nng CONFIG REQUIRED)
pkg_check_modules(protobuf_c REQUIRED IMPORTED_TARGET libprotobuf-c>=1.4)
pkg_check_modules(cjson REQUIRED IMPORTED_TARGET libcjson>=1.7)
if(REDIAL_BUILD_SERVER)
  pkg_check_modules(sqlite3 REQUIRED IMPORTED_TARGET sqlite3>=3.40)
  pkg_check_modules(curl REQUIRED IMPORTED_TARGET libcurl>=7.80)
endif()
if(REDIAL_BUILD_TESTS)
  pkg_check_modules(cmocka REQUIRED IMPORTED_TARGET cmocka>=1.1)
endif()
find_program(REDIAL_PROTOC_C protoc-c REQUIRED)

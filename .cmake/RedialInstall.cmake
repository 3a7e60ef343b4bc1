# SPDX-License-Identifier: Apache-2.0
#
# What a user of the client library gets: libredial, the public headers, the
# CMake package (redial::client) and redial.pc.

include(CMakePackageConfigHelpers)

if(TARGET redial_client)
  set(redial_package ${CMAKE_INSTALL_LIBDIR}/cmake/redial)
  install(TARGETS redial_client
    EXPORT redial
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  )
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/redial
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
    FILES_MATCHING PATTERN *.h PATTERN *.def
  )
  install(EXPORT redial
    NAMESPACE redial::
    FILE redial-config.cmake
    DESTINATION ${redial_package}
  )
  write_basic_package_version_file(
    ${PROJECT_BINARY_DIR}/redial-config-version.cmake
    COMPATIBILITY SameMinorVersion
  )
  configure_file(
    ${PROJECT_SOURCE_DIR}/.cmake/redial.pc.in
    ${PROJECT_BINARY_DIR}/redial.pc
    @ONLY
  )
  install(FILES ${PROJECT_BINARY_DIR}/redial-config-version.cmake
    DESTINATION ${redial_package}
  )
  install(FILES ${PROJECT_BINARY_DIR}/redial.pc
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
  )
endif()

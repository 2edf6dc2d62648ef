# SPDX-License-Identifier: Apache-2.0
# `cmake --install build/<preset>`: the public headers, the libraries behind them, the command, and
# what find_package(warphive) needs.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

get_property(libraries GLOBAL PROPERTY WARPHIVE_LIBRARIES)
list(APPEND libraries warphive_abi warphive_options)
# Users see the public headers only; src/ is for the libraries' own build.
foreach(library IN LISTS libraries)
  get_target_property(includes ${library} INTERFACE_INCLUDE_DIRECTORIES)
  if(includes)
    list(JOIN includes "$<SEMICOLON>" joined)
    set_target_properties(${library} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES
                                                "$<BUILD_INTERFACE:${joined}>")
  endif()
endforeach()

install(
  TARGETS warphive ${libraries}
  EXPORT warphive
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development
  FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)
install(
  EXPORT warphive
  FILE warphiveTargets.cmake
  NAMESPACE warphive::
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/warphive
  COMPONENT development)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/warphiveConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_SOURCE_DIR}/cmake/warphiveConfig.cmake
              ${PROJECT_BINARY_DIR}/warphiveConfigVersion.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/warphive COMPONENT development)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT development)
if(TARGET warphive_cli)
  install(TARGETS warphive_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT command)
endif()

# Install rules and the CMake package: find_package(intaglio) gives intaglio::intaglio and intaglio::intaglio_static.
if(NOT INTAGLIO_INSTALL OR NOT TARGET intaglio)
  message(STATUS "intaglio: nothing to install (INTAGLIO_INSTALL=${INTAGLIO_INSTALL}, or src/api is missing)")
  return()
endif()
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/intaglio)
install(TARGETS intaglio intaglio_static EXPORT intaglioTargets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT intaglio
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT intaglio
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/intaglio ${INTAGLIO_GENERATED_INCLUDE}/intaglio
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT intaglio FILES_MATCHING PATTERN "*.h")
install(EXPORT intaglioTargets NAMESPACE intaglio:: DESTINATION ${package_dir} COMPONENT intaglio)
configure_package_config_file(${CMAKE_CURRENT_SOURCE_DIR}/cmake/intaglioConfig.cmake.in
                              ${CMAKE_BINARY_DIR}/generated/intaglioConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/generated/intaglioConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/generated/intaglioConfig.cmake ${CMAKE_BINARY_DIR}/generated/intaglioConfigVersion.cmake
        DESTINATION ${package_dir} COMPONENT intaglio)
install(FILES ${CMAKE_SOURCE_DIR}/LICENSE ${CMAKE_SOURCE_DIR}/THIRD_PARTY.md
        DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT intaglio)
if(TARGET intaglio_cli)
  install(TARGETS intaglio_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT intaglio)
endif()

file(GLOB example CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/examples/classify/*.cc)
if(NOT INTAGLIO_TESTS OR INTAGLIO_SANITIZE)
  return()
endif()
if(NOT example)
  message(STATUS "intaglio: the install test is off (examples/classify has no sources)")
  return()
endif()
add_test(NAME install
         COMMAND ${CMAKE_COMMAND} -DBUILD=${CMAKE_BINARY_DIR} -DSOURCE=${CMAKE_SOURCE_DIR}
                 -DWORK=${CMAKE_BINARY_DIR}/install-test -P ${CMAKE_SOURCE_DIR}/cmake/install_test.cmake)
set_tests_properties(install PROPERTIES LABELS slow TIMEOUT 600)

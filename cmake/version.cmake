# <intaglio/version.h> comes from project(VERSION), so that a version is written once.
configure_file(${CMAKE_CURRENT_SOURCE_DIR}/cmake/version.h.in ${INTAGLIO_GENERATED_INCLUDE}/intaglio/version.h @ONLY)

# The tools that only make a build faster: used when found, said aloud when not.
# A launcher or linker chosen on the command line or by a preset wins.

find_program(INTAGLIO_CCACHE ccache)
if(NOT CMAKE_CXX_COMPILER_LAUNCHER)
  if(INTAGLIO_CCACHE)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${INTAGLIO_CCACHE})
  else()
    message(STATUS "intaglio: ccache not found, every build compiles everything (package ccache)")
  endif()
endif()

find_program(INTAGLIO_MOLD mold)
if(NOT "${CMAKE_EXE_LINKER_FLAGS} ${CMAKE_SHARED_LINKER_FLAGS}" MATCHES "fuse-ld")
  if(INTAGLIO_MOLD)
    add_link_options(-fuse-ld=mold)
  else()
    message(STATUS "intaglio: mold not found, linking with the default linker (package mold)")
  endif()
endif()

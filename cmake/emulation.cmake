# tests/emulation: runs instructions that this CPU lacks, in tests only. The library is linked into the test programs of
# the rooms that are declared EMULATED (cmake/rooms.cmake); its own tests are the program emulation_test.
function(intaglio_emulation)
  if(NOT INTAGLIO_TESTS)
    return()
  endif()
  set(dir ${CMAKE_CURRENT_SOURCE_DIR}/tests/emulation)
  file(GLOB sources CONFIGURE_DEPENDS ${dir}/*.cc)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "(_test|/main)\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  add_library(intaglio_emulation STATIC ${sources})
  target_include_directories(intaglio_emulation PUBLIC ${CMAKE_SOURCE_DIR})
  # Not instrumented: it looks into the frames of signals. -ffp-contract=off: some of it runs with FMA allowed;
  # -frounding-math: it changes the rounding mode. -O3 in every preset: products of tiles are vectorised.
  target_compile_options(intaglio_emulation PRIVATE ${INTAGLIO_WARNINGS} ${INTAGLIO_BASE_ISA} -fno-sanitize=all -O3
                                                    -ffp-contract=off -frounding-math)
  # gtest's main with the emulator installed; each case that needed it says so in the report.
  add_library(intaglio_emulation_main STATIC ${dir}/main.cc)
  target_compile_options(intaglio_emulation_main PRIVATE ${INTAGLIO_WARNINGS} ${INTAGLIO_BASE_ISA})
  target_link_libraries(intaglio_emulation_main PUBLIC intaglio_emulation GTest::gtest)

  add_executable(emulation_test ${tests})
  target_compile_options(emulation_test PRIVATE ${INTAGLIO_WARNINGS} ${INTAGLIO_BASE_ISA})
  target_link_libraries(emulation_test PRIVATE intaglio_emulation_main GTest::gmock Threads::Threads)
  intaglio_register_tests(emulation emulation_test "${tests}" THREADED)
endfunction()

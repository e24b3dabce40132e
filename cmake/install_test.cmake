# Run by ctest (test `install`): installs to a fresh prefix, configures examples/classify as an outside project with
# find_package(intaglio), builds it and runs it, on the shared and on the static library.
#   cmake -DBUILD=… -DSOURCE=… -DWORK=… -DCONFIG=… -DARGUMENTS=… -P install_test.cmake

function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  message("$ ${ARGV}\n${output}")
  if(status)
    message(FATAL_ERROR "exit ${status}")
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK})
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/prefix --component intaglio)
foreach(wanted include/intaglio/intaglio.h include/intaglio/version.h bin/intaglio)
  if(NOT EXISTS ${WORK}/prefix/${wanted})
    message(FATAL_ERROR "not installed: ${wanted}")
  endif()
endforeach()
run(${CMAKE_COMMAND} -S ${SOURCE}/examples/classify -B ${WORK}/build -G Ninja -DCMAKE_BUILD_TYPE=Release
    -DCMAKE_PREFIX_PATH=${WORK}/prefix)
run(${CMAKE_COMMAND} --build ${WORK}/build)
foreach(program classify classify_static)
  run(${WORK}/build/${program} ${ARGUMENTS})
endforeach()

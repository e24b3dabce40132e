# INTAGLIO_SANITIZE: "" | "address,undefined" | "thread". Applies to everything in the tree, the tests included.
set(INTAGLIO_SANITIZE "" CACHE STRING "Sanitizers to build with: empty, 'address,undefined' or 'thread'")

if(INTAGLIO_SANITIZE)
  message(STATUS "intaglio: built with -fsanitize=${INTAGLIO_SANITIZE}")
  add_compile_options(-fsanitize=${INTAGLIO_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${INTAGLIO_SANITIZE})
  if(INTAGLIO_SANITIZE MATCHES "undefined")
    # The first finding ends the program: a test run that only prints a finding would still be green.
    add_compile_options(-fno-sanitize-recover=all)
  endif()
  if(INTAGLIO_SANITIZE MATCHES "address")
    add_compile_definitions(_GLIBCXX_ASSERTIONS)
  endif()
  # GCC's flow-based warnings misfire on instrumented code; the release build holds them as errors.
  add_compile_options(-Wno-maybe-uninitialized -Wno-stringop-overflow -Wno-array-bounds -Wno-null-dereference)
  if(INTAGLIO_SANITIZE MATCHES "thread")
    add_compile_options(-Wno-tsan)
  endif()
endif()

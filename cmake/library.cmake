# libintaglio: all rooms in one library, shared (target `intaglio`) and static (target `intaglio_static`). It appears
# once the api does. Rooms are compiled with hidden visibility; what include/intaglio/ marks INTAGLIO_API is exported,
# and the version script keeps template instantiations of the standard library from leaking out beside it.
if(NOT TARGET intaglio_api)
  message(STATUS "intaglio: no libintaglio yet (src/api is missing)")
  return()
endif()

get_property(rooms GLOBAL PROPERTY INTAGLIO_ROOMS)
get_property(room_libs GLOBAL PROPERTY INTAGLIO_ROOM_LIBS)
list(REMOVE_DUPLICATES room_libs)
set(objects)
foreach(room ${rooms})
  list(APPEND objects $<TARGET_OBJECTS:intaglio_${room}>)
endforeach()

add_library(intaglio SHARED ${objects})
add_library(intaglio_static STATIC ${objects})
set(exports ${CMAKE_CURRENT_SOURCE_DIR}/cmake/exports.map)
target_link_options(intaglio PRIVATE -Wl,--version-script=${exports} -Wl,--no-undefined)
if(INTAGLIO_SANITIZE)
  # Sanitizer runtimes are resolved by the program, not by the library.
  target_link_options(intaglio PRIVATE -Wl,-z,undefs)
endif()
set_target_properties(intaglio PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}
                                          LINK_DEPENDS ${exports} LINKER_LANGUAGE CXX EXPORT_NAME intaglio)
set_target_properties(intaglio_static PROPERTIES OUTPUT_NAME intaglio LINKER_LANGUAGE CXX EXPORT_NAME intaglio_static)
foreach(library intaglio intaglio_static)
  target_include_directories(${library} PUBLIC $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include>
                                               $<BUILD_INTERFACE:${INTAGLIO_GENERATED_INCLUDE}>
                                               $<INSTALL_INTERFACE:include>)
  target_compile_features(${library} PUBLIC cxx_std_20)
  target_link_libraries(${library} PRIVATE ${room_libs})
  add_library(intaglio::${library} ALIAS ${library})
endforeach()

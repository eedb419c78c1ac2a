# What our own targets have in common: the language, the warnings, hidden
# symbols, and complete lists of files. Nothing here leaks into a project that
# adds this one as a subdirectory.

set(NWS_WARNINGS
    -Wall
    -Wextra
    -Wpedantic
    -Wcast-align
    -Wconversion
    -Wformat-security
    -Wmissing-prototypes
    -Wpointer-arith
    -Wshadow
    -Wstrict-prototypes
    -Wundef
    -Wvla
    -Wwrite-strings)

# Our C: standard C11 and every warning that has found a bug somewhere. With
# POSIX, the system's headers show what libuv's header builds on.
function(nws_compile target)
  cmake_parse_arguments(arg "POSIX" "" "" ${ARGN})
  set_target_properties(
    ${target}
    PROPERTIES C_STANDARD 11
               C_STANDARD_REQUIRED ON
               C_EXTENSIONS ${arg_POSIX}
               C_VISIBILITY_PRESET hidden)
  if(CMAKE_C_COMPILER_ID MATCHES "GNU|Clang")
    target_compile_options(
      ${target} PRIVATE ${NWS_WARNINGS} $<$<BOOL:${NWS_WERROR}>:-Werror>)
  endif()
endfunction()

# A library of ours. Static ones are position independent as well, because
# language bindings link them into shared objects.
function(nws_library target)
  nws_compile(${target} ${ARGN})
  set_target_properties(
    ${target}
    PROPERTIES POSITION_INDEPENDENT_CODE ON
               VERSION ${PROJECT_VERSION}
               SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
  target_compile_definitions(${target} PRIVATE NWS_BUILDING)
  if(BUILD_SHARED_LIBS)
    target_compile_definitions(${target} PUBLIC NWS_SHARED)
  endif()
endfunction()

# Adds the sources of the current folder to a target: the list is explicit, so
# that a stray file is never built by accident, and complete, so that a new one
# is never forgotten.
function(nws_sources target)
  target_sources(${target} PRIVATE ${ARGN})
  nws_check_listed("*.c" ${ARGN})
endfunction()

# Adds public headers, given by name, to a library.
function(nws_headers target)
  list(TRANSFORM ARGN PREPEND "${PROJECT_SOURCE_DIR}/include/nws/" OUTPUT_VARIABLE
                                                                   paths)
  target_sources(
    ${target} PUBLIC FILE_SET HEADERS BASE_DIRS "${PROJECT_SOURCE_DIR}/include"
                     FILES ${paths})
endfunction()

# Fails the configuration when files of the current folder that match `pattern`
# are not among the remaining arguments.
function(nws_check_listed pattern)
  file(GLOB_RECURSE found CONFIGURE_DEPENDS
       RELATIVE "${CMAKE_CURRENT_SOURCE_DIR}" "${pattern}")
  list(FILTER found EXCLUDE REGEX "node_modules/")
  list(REMOVE_ITEM found ${ARGN})
  if(found)
    list(JOIN found " " names)
    message(FATAL_ERROR "Not listed in ${CMAKE_CURRENT_LIST_FILE}: ${names}")
  endif()
endfunction()

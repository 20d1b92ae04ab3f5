# SPDX-License-Identifier: Apache-2.0
# What the command and the tests need beyond libc. The library itself needs nothing.
if(ROARMASK_BUILD_PROGRAMS STREQUAL "AUTO")
  find_package(PkgConfig QUIET)
  if(PkgConfig_FOUND)
    pkg_check_modules(command_libraries QUIET jansson libzip cairo)
  endif()
  if(NOT command_libraries_FOUND)
    message(NOTICE "roarmask: no command, for lack of pkg-config, jansson, libzip or cairo "
      "(Debian: apt-get install pkg-config libjansson-dev libzip-dev libcairo2-dev)")
    set(ROARMASK_BUILD_PROGRAMS OFF)
  endif()
endif()
if(ROARMASK_BUILD_PROGRAMS OR ROARMASK_BUILD_TESTS)
  find_package(PkgConfig REQUIRED)
endif()

# find_pkg_config_module(<module> <Debian package> <option that needs it>): the target PkgConfig::<module>, or how to go on.
function(find_pkg_config_module module package option)
  pkg_check_modules(${module} QUIET IMPORTED_TARGET GLOBAL ${module})
  if(NOT ${module}_FOUND)
    message(FATAL_ERROR "${module} not found: install it (Debian: apt-get install ${package}) or configure with -D${option}=OFF")
  endif()
endfunction()

if(ROARMASK_BUILD_PROGRAMS)
  find_pkg_config_module(jansson libjansson-dev ROARMASK_BUILD_PROGRAMS)
  find_pkg_config_module(libzip libzip-dev ROARMASK_BUILD_PROGRAMS)
  find_pkg_config_module(cairo libcairo2-dev ROARMASK_BUILD_PROGRAMS)
endif()
if(ROARMASK_BUILD_TESTS)
  find_pkg_config_module(cmocka libcmocka-dev ROARMASK_BUILD_TESTS)
endif()

# The target croaring exists either way, so that its users just link it.
if(EXISTS "${ROARMASK_CROARING_DIR}/roaring.c" AND EXISTS "${ROARMASK_CROARING_DIR}/roaring.h")
  add_library(croaring OBJECT EXCLUDE_FROM_ALL "${ROARMASK_CROARING_DIR}/roaring.c")
  target_include_directories(croaring SYSTEM INTERFACE "${ROARMASK_CROARING_DIR}")
  target_compile_definitions(croaring INTERFACE ROARMASK_HAVE_CROARING)
  # A fair peer is an optimised one, and its warnings and sanitizer findings are its own authors' business.
  target_compile_options(croaring PRIVATE -O3 -w -fno-sanitize=all)
else()
  add_library(croaring INTERFACE)
  message(NOTICE "roarmask: no CRoaring in ${ROARMASK_CROARING_DIR}: `roarmask bench` has no croaring methods and the tests "
    "no second oracle (`make setup` fetches it)")
endif()

# SPDX-License-Identifier: Apache-2.0
# A library that builds on libroarmask and is installed beside it: static, and shared where that is built.

# roarmask_component(<name> SOURCES <files> [SETUP <function>] [PRIVATE_LIBRARIES <names>] [PRIVATE_FOLDERS <folders>])
#
# Makes roarmask-<name>-static and roarmask-<name>, in the package roarmask::<name>-static and roarmask::<name>, and roarmask-<name>.pc out of
# cmake/roarmask-<name>.pc.in. SETUP is called with each target. The private libraries are what a program that links the static one needs besides,
# by name, so that an installed package looks for nothing.
function(roarmask_component name)
  cmake_parse_arguments(arg "" "SETUP" "SOURCES;PRIVATE_LIBRARIES;PRIVATE_FOLDERS" ${ARGN})
  set(types STATIC)
  if(ROARMASK_BUILD_SHARED)
    list(APPEND types SHARED)
  endif()
  foreach(type IN LISTS types)
    set(suffix)
    if(type STREQUAL "STATIC")
      set(suffix -static)
    endif()
    set(target roarmask-${name}${suffix})
    add_library(${target} ${type} ${arg_SOURCES})
    add_library(roarmask::${name}${suffix} ALIAS ${target})
    target_compile_features(${target} PUBLIC c_std_11)
    target_compile_definitions(${target} PRIVATE RMASK_VERSION_STRING="${PROJECT_VERSION}")
    target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(${target} PUBLIC roarmask${suffix})
    set_target_properties(${target} PROPERTIES
      OUTPUT_NAME roarmask-${name}
      EXPORT_NAME ${name}${suffix}
      C_VISIBILITY_PRESET hidden
      POSITION_INDEPENDENT_CODE ON)
    if(type STREQUAL "STATIC")
      target_link_libraries(${target} INTERFACE "$<INSTALL_INTERFACE:${arg_PRIVATE_LIBRARIES}>")
      target_link_directories(${target} INTERFACE "$<INSTALL_INTERFACE:${arg_PRIVATE_FOLDERS}>")
    else()
      # libroarmask.so shows its public functions only, so the two private parts of it that are used here are built in, and hidden again.
      set(core_sources ${PROJECT_SOURCE_DIR}/src/core/memory.c ${PROJECT_SOURCE_DIR}/src/core/status.c)
      set_source_files_properties(${core_sources} PROPERTIES COMPILE_OPTIONS "-URMASK_SHARED")
      target_sources(${target} PRIVATE ${core_sources})
      target_compile_definitions(${target} PRIVATE RMASK_SHARED)
      target_link_options(${target} PRIVATE -Wl,--no-undefined -Wl,--as-needed -Wl,--exclude-libs,ALL)
      set_target_properties(${target} PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
    endif()
    if(arg_SETUP)
      cmake_language(CALL ${arg_SETUP} ${target})
    endif()
    install(TARGETS ${target} EXPORT roarmask-config)
  endforeach()

  list(TRANSFORM arg_PRIVATE_LIBRARIES PREPEND "-l")
  list(JOIN arg_PRIVATE_LIBRARIES " " private_flags)
  configure_file(${PROJECT_SOURCE_DIR}/cmake/roarmask-${name}.pc.in roarmask-${name}.pc @ONLY)
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/roarmask-${name}.pc DESTINATION ${pkgconfig_dir})
endfunction()

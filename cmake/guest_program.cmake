# SPDX-License-Identifier: Apache-2.0
# guest_program(<name> SOURCES a.c… [FLAGS …]): compiles C or C++ to build/guests/<name>.wasm with
# clang-19 and wasi-libc; guest_programs() below adds the target `guests` that makes them all.
add_custom_target(guests ALL)
set(GUEST_DIR ${PROJECT_BINARY_DIR}/guests)
file(MAKE_DIRECTORY ${GUEST_DIR})

function(guest_program NAME)
  cmake_parse_arguments(ARG "" "" "SOURCES;FLAGS" ${ARGN})
  list(TRANSFORM ARG_SOURCES PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
  set(driver clang-19)
  if(ARG_SOURCES MATCHES "\\.cpp")
    set(driver clang++-19 -fno-exceptions)
  endif()
  add_custom_command(
    OUTPUT ${GUEST_DIR}/${NAME}.wasm
    COMMAND ${driver} --target=wasm32-wasi -O2 -Wl,--strip-debug -o ${GUEST_DIR}/${NAME}.wasm ${ARG_SOURCES} ${ARG_FLAGS}
    DEPENDS ${ARG_SOURCES}
    COMMENT "guest ${NAME}.wasm"
    VERBATIM)
  add_custom_target(guest_${NAME} DEPENDS ${GUEST_DIR}/${NAME}.wasm)
  add_dependencies(guests guest_${NAME})
endfunction()

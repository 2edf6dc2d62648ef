# SPDX-License-Identifier: Apache-2.0
# Precompiled headers (cmake/pch/): they take a third off a build. Sources name what they include all
# the same: the presets gcc, dev and tidy build without them.
option(WARPHIVE_PCH "Precompile headers of other libraries" OFF)

# warphive_precompile(<target> <header of cmake/pch>)
function(warphive_precompile TARGET NAME)
  if(WARPHIVE_PCH)
    target_precompile_headers(${TARGET} PRIVATE ${PROJECT_SOURCE_DIR}/cmake/pch/${NAME}.hpp)
    # So that the same header gives the same bytes, and ccache finds what was made with it.
    target_compile_options(${TARGET} PRIVATE "$<$<CXX_COMPILER_ID:Clang>:SHELL:-Xclang -fno-pch-timestamp>")
  endif()
endfunction()

# warphive_precompile_shared(<target> <header> <flag>… [LINK lib…])
# One for all targets that name this header and these flags; what they are built with must be the same.
function(warphive_precompile_shared TARGET NAME)
  if(NOT WARPHIVE_PCH)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  string(MAKE_C_IDENTIFIER "warphive_pch_${NAME}${ARG_UNPARSED_ARGUMENTS}" shared)
  if(NOT TARGET ${shared})
    file(WRITE ${PROJECT_BINARY_DIR}/${shared}.cpp "")
    add_library(${shared} OBJECT ${PROJECT_BINARY_DIR}/${shared}.cpp)
    target_link_libraries(${shared} PRIVATE warphive_options ${WARPHIVE_FMT} tl::expected ${ARG_LINK})
    target_compile_options(${shared} PRIVATE ${ARG_UNPARSED_ARGUMENTS})
    warphive_precompile(${shared} ${NAME})
  endif()
  target_precompile_headers(${TARGET} REUSE_FROM ${shared})
endfunction()

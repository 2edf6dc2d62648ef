# SPDX-License-Identifier: Apache-2.0
# warphive_options: the flags that every target of the project gets.
add_library(warphive_options INTERFACE)
target_compile_options(
  warphive_options
  INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wold-style-cast -Wmissing-declarations
            -Wextra-semi -Wundef -ffp-contract=off
            $<$<BOOL:${WARPHIVE_WERROR}>:-Werror>
            # g++ 12 reports false positives of these in optimised standard-library code.
            $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized -Wno-array-bounds -Wno-stringop-overflow -Wno-restrict
            -Wno-missing-field-initializers>
            $<$<CXX_COMPILER_ID:Clang>:-Wno-missing-designated-field-initializers>)
target_compile_definitions(
  warphive_options INTERFACE $<$<BOOL:${WARPHIVE_DCHECK}>:WARPHIVE_DCHECK_ON=1 _GLIBCXX_ASSERTIONS=1>)
if(WARPHIVE_SANITIZE)
  target_compile_options(warphive_options INTERFACE -fsanitize=${WARPHIVE_SANITIZE} -fno-omit-frame-pointer
                                                    -fno-sanitize-recover=all)
  target_link_options(warphive_options INTERFACE -fsanitize=${WARPHIVE_SANITIZE})
endif()
if(WARPHIVE_FUZZ)
  target_compile_options(warphive_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(WARPHIVE_PORTABLE)
  target_link_options(warphive_options INTERFACE -static-libstdc++ -static-libgcc -Wl,--as-needed -s)
endif()

# warphive_target(<folder> SOURCES a.cpp… [DEPS base ir…] [LINK lib…] [PCH header] [EXCEPTIONS])
# Makes warphive_<folder>, an object-like static library with include root src/. Core folders are
# built without exceptions, so that a throw cannot cross them.
function(warphive_target NAME)
  cmake_parse_arguments(ARG "EXCEPTIONS" "PCH" "SOURCES;DEPS;LINK" ${ARGN})
  set(target warphive_${NAME})
  if(ARG_SOURCES)
    add_library(${target} STATIC ${ARG_SOURCES})
    set(scope PUBLIC)
    target_link_libraries(${target} PRIVATE warphive_options)
    if(NOT ARG_EXCEPTIONS)
      target_compile_options(${target} PRIVATE -fno-exceptions)
      if(ARG_PCH)
        warphive_precompile(${target} ${ARG_PCH})
      else()
        warphive_precompile_shared(${target} core -fno-exceptions)
      endif()
    endif()
    set_property(GLOBAL APPEND PROPERTY WARPHIVE_LIBRARIES ${target})
  else()
    add_library(${target} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(${target} ${scope} ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
  foreach(dep IN LISTS ARG_DEPS)
    target_link_libraries(${target} ${scope} warphive_${dep})
  endforeach()
  target_link_libraries(${target} ${scope} ${ARG_LINK})
endfunction()

# What the sanitizer presets run: tests labelled `unit` and replays of the fuzz corpora.
add_custom_target(unit_tests)

# warphive_test(<name> SOURCES x_test.cpp… DEPS ir… [LABELS unit] [LINK lib…] [OPTIMISED])
# One GoogleTest binary, every TEST of it a ctest entry (with a sanitizer, all of them one). What it tests is optimised; its own code only
# with OPTIMISED, which is for tests that take long.
function(warphive_test NAME)
  if(NOT WARPHIVE_BUILD_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "OPTIMISED" "" "SOURCES;DEPS;LABELS;LINK" ${ARGN})
  if(NOT ARG_LABELS)
    set(ARG_LABELS unit)
  endif()
  add_executable(${NAME} ${ARG_SOURCES})
  foreach(dep IN LISTS ARG_DEPS)
    target_link_libraries(${NAME} PRIVATE warphive_${dep})
  endforeach()
  target_link_libraries(${NAME} PRIVATE warphive_options GTest::gtest GTest::gtest_main ${ARG_LINK})
  set(flags -fPIE)
  if(NOT ARG_OPTIMISED)
    target_compile_options(${NAME} PRIVATE -O0)
    list(APPEND flags -O0)
  endif()
  warphive_precompile_shared(${NAME} tests ${flags} LINK GTest::gtest)
  if("unit" IN_LIST ARG_LABELS)
    add_dependencies(unit_tests ${NAME})
  endif()
  if(WARPHIVE_SANITIZE)
    # A process with a sanitizer takes longer to start than most tests take.
    add_test(NAME ${NAME} COMMAND ${NAME} --gtest_brief=1)
    set_tests_properties(${NAME} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT 1800)
  else()
    gtest_discover_tests(${NAME} NO_PRETTY_VALUES DISCOVERY_TIMEOUT 60 PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT 600)
  endif()
endfunction()

# warphive_bench(<name> SOURCES x_bench.cpp… DEPS ir… [LINK lib…]): one Google Benchmark binary.
function(warphive_bench NAME)
  if(NOT WARPHIVE_BENCH)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;LINK" ${ARGN})
  add_executable(${NAME} ${ARG_SOURCES})
  foreach(dep IN LISTS ARG_DEPS)
    target_link_libraries(${NAME} PRIVATE warphive_${dep})
  endforeach()
  target_link_libraries(${NAME} PRIVATE warphive_options benchmark::benchmark ${ARG_LINK})
endfunction()

# warphive_fuzz(<name> SOURCES x_fuzz.cpp DEPS … CORPUS dir [MUTATIONS 200])
# With WARPHIVE_FUZZ a libFuzzer binary; always a ctest entry `<name>_smoke` that replays the corpus
# and so many mutations of each of its files through the same entry point.
function(warphive_fuzz NAME)
  cmake_parse_arguments(ARG "" "CORPUS;MUTATIONS" "SOURCES;DEPS;LINK" ${ARGN})
  if(NOT DEFINED ARG_MUTATIONS)
    set(ARG_MUTATIONS 200)
  endif()
  if(WARPHIVE_FUZZ)
    add_executable(${NAME} ${ARG_SOURCES})
    target_link_options(${NAME} PRIVATE -fsanitize=fuzzer)
    foreach(dep IN LISTS ARG_DEPS)
      target_link_libraries(${NAME} PRIVATE warphive_${dep})
    endforeach()
    target_link_libraries(${NAME} PRIVATE warphive_options ${ARG_LINK})
  endif()
  if(WARPHIVE_BUILD_TESTS)
    add_executable(${NAME}_smoke ${ARG_SOURCES} ${PROJECT_SOURCE_DIR}/tests/fuzz/replay_main.cpp)
    foreach(dep IN LISTS ARG_DEPS)
      target_link_libraries(${NAME}_smoke PRIVATE warphive_${dep})
    endforeach()
    target_link_libraries(${NAME}_smoke PRIVATE warphive_options ${ARG_LINK})
    add_test(NAME ${NAME}_smoke COMMAND ${NAME}_smoke ${ARG_MUTATIONS} ${ARG_CORPUS})
    add_dependencies(unit_tests ${NAME}_smoke)
    set_tests_properties(${NAME}_smoke PROPERTIES LABELS fuzz-smoke TIMEOUT 600)
  endif()
endfunction()

# SPDX-License-Identifier: Apache-2.0
warphive_test(wasm_lower_test SOURCES wasm/lower_test.cpp wasm/lower_control_test.cpp
              wasm/lower_run_test.cpp ../exec/testing.cpp DEPS wasm exec)
warphive_fuzz(wasm_lower_fuzz SOURCES wasm/lower_fuzz.cpp DEPS wasm
              CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/wasm/corpus/lower)

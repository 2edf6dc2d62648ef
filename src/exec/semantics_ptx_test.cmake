# SPDX-License-Identifier: Apache-2.0
# cmake -DCOMPILER=clang++ -DSOURCE_DIR=src -DOUTPUT=file -P semantics_ptx_test.cmake
# The semantics as PTX: no library call, no array in local memory, and none of the instructions that are not exact.
execute_process(
  COMMAND ${COMPILER} --target=nvptx64-nvidia-cuda -nocudalib -ffreestanding -std=c++20 -O2
          -Xclang -target-cpu -Xclang sm_70 -I${SOURCE_DIR} -S ${SOURCE_DIR}/exec/semantics_ptx.cpp
          -o ${OUTPUT}
  COMMAND_ERROR_IS_FATAL ANY)
file(READ ${OUTPUT} PTX)
foreach(FORBIDDEN "\\.local" "\\.extern" "call" "\\.approx" "\\.ftz" "fma\\." "\\.full" "neg\\.f" "abs\\.f")
  if(PTX MATCHES "${FORBIDDEN}")
    message(FATAL_ERROR "The PTX contains ${FORBIDDEN} (${OUTPUT}).")
  endif()
endforeach()
if(NOT PTX MATCHES "do_addf64" OR NOT PTX MATCHES "do_addf64x2")
  message(FATAL_ERROR "The PTX lacks the ops (${OUTPUT}).")
endif()

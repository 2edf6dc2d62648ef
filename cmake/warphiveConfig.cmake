# SPDX-License-Identifier: Apache-2.0
include(CMakeFindDependencyMacro)
find_dependency(Threads)
find_dependency(fmt)
find_dependency(tl-expected)
find_dependency(LLVM 19.1 CONFIG HINTS /usr/lib/llvm-19)
include(${CMAKE_CURRENT_LIST_DIR}/warphiveTargets.cmake)

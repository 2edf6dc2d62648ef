// SPDX-License-Identifier: Apache-2.0
// The CUDA driver API, opened at run time: the build needs no toolkit, and the program runs where
// there is no driver. Prototypes are our own, after the CUDA Driver API reference (12.x); only
// functions that have kept their meaning since CUDA 11.7 are used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "warphive/error.hpp"

namespace warphive::hal::cuda {

using CuDevice = int;
using CuPointer = std::uint64_t;
using CuContext = struct CuContextTag*;
using CuModule = struct CuModuleTag*;
using CuFunction = struct CuFunctionTag*;
using CuStream = struct CuStreamTag*;
using CuEvent = struct CuEventTag*;
using CuLink = struct CuLinkTag*;

enum class CuResult : int {
  success = 0,
  invalid_value = 1,
  out_of_memory = 2,
  not_initialized = 3,
  no_device = 100,
  invalid_device = 101,
  not_found = 500,
  not_ready = 600,
};

// X(member, symbol, parameters)
#define WARPHIVE_CUDA_FUNCTIONS(X)                                                                 \
  X(init, cuInit, (unsigned flags))                                                                \
  X(driver_version, cuDriverGetVersion, (int* version))                                            \
  X(error_name, cuGetErrorName, (CuResult error, const char** name))                               \
  X(error_string, cuGetErrorString, (CuResult error, const char** text))                           \
  X(device_count, cuDeviceGetCount, (int* count))                                                  \
  X(device_get, cuDeviceGet, (CuDevice * device, int ordinal))                                     \
  X(device_name, cuDeviceGetName, (char* name, int length, CuDevice device))                       \
  X(device_memory, cuDeviceTotalMem_v2, (std::size_t* bytes, CuDevice device))                     \
  X(device_attribute, cuDeviceGetAttribute, (int* value, int attribute, CuDevice device))          \
  X(context_retain, cuDevicePrimaryCtxRetain, (CuContext * context, CuDevice device))              \
  X(context_release, cuDevicePrimaryCtxRelease_v2, (CuDevice device))                              \
  X(context_set_current, cuCtxSetCurrent, (CuContext context))                                     \
  X(context_set_limit, cuCtxSetLimit, (int limit, std::size_t value))                              \
  X(memory_info, cuMemGetInfo_v2, (std::size_t* free, std::size_t* total))                         \
  X(memory_alloc, cuMemAlloc_v2, (CuPointer * pointer, std::size_t bytes))                         \
  X(memory_free, cuMemFree_v2, (CuPointer pointer))                                                \
  X(host_alloc, cuMemHostAlloc, (void** pointer, std::size_t bytes, unsigned flags))               \
  X(host_free, cuMemFreeHost, (void* pointer))                                                     \
  X(host_register, cuMemHostRegister_v2, (void* pointer, std::size_t bytes, unsigned flags))       \
  X(host_unregister, cuMemHostUnregister, (void* pointer))                                         \
  X(copy_async, cuMemcpyAsync, (CuPointer to, CuPointer from, std::size_t bytes, CuStream stream)) \
  X(set_async, cuMemsetD8Async,                                                                    \
    (CuPointer to, unsigned char value, std::size_t count, CuStream stream))                       \
  X(stream_create, cuStreamCreateWithPriority, (CuStream * stream, unsigned flags, int priority))  \
  X(stream_priorities, cuCtxGetStreamPriorityRange, (int* least, int* greatest))                   \
  X(stream_destroy, cuStreamDestroy_v2, (CuStream stream))                                         \
  X(stream_synchronise, cuStreamSynchronize, (CuStream stream))                                    \
  X(stream_wait, cuStreamWaitEvent, (CuStream stream, CuEvent event, unsigned flags))              \
  X(stream_write, cuStreamWriteValue32_v2,                                                         \
    (CuStream stream, CuPointer address, std::uint32_t value, unsigned flags))                     \
  X(event_create, cuEventCreate, (CuEvent * event, unsigned flags))                                \
  X(event_record, cuEventRecord, (CuEvent event, CuStream stream))                                 \
  X(event_query, cuEventQuery, (CuEvent event))                                                    \
  X(event_destroy, cuEventDestroy_v2, (CuEvent event))                                             \
  X(module_load, cuModuleLoadDataEx,                                                               \
    (CuModule * module, const void* image, unsigned count, int* options, void** values))           \
  X(module_unload, cuModuleUnload, (CuModule module))                                              \
  X(module_function, cuModuleGetFunction,                                                          \
    (CuFunction * function, CuModule module, const char* name))                                    \
  X(module_global, cuModuleGetGlobal_v2,                                                           \
    (CuPointer * pointer, std::size_t* bytes, CuModule module, const char* name))                  \
  X(link_create, cuLinkCreate_v2, (unsigned count, int* options, void** values, CuLink* link))     \
  X(link_add, cuLinkAddData_v2,                                                                    \
    (CuLink link, int type, void* data, std::size_t bytes, const char* name, unsigned count,       \
     int* options, void** values))                                                                 \
  X(link_complete, cuLinkComplete, (CuLink link, void** binary, std::size_t* bytes))               \
  X(link_destroy, cuLinkDestroy, (CuLink link))                                                    \
  X(launch, cuLaunchKernel,                                                                        \
    (CuFunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,     \
     unsigned block_y, unsigned block_z, unsigned shared_bytes, CuStream stream, void** params,    \
     void** extra))

struct Driver {
#define WARPHIVE_CUDA_MEMBER(member, symbol, parameters) CuResult(*member) parameters = nullptr;
  WARPHIVE_CUDA_FUNCTIONS(WARPHIVE_CUDA_MEMBER)
#undef WARPHIVE_CUDA_MEMBER

  /// "700 (CUDA_ERROR_ILLEGAL_ADDRESS): an illegal memory access was encountered"
  [[nodiscard]] std::string describe(CuResult result) const;
};

/// Opened and initialised once per library; never closed. `library` is a file name; where empty,
/// what the environment variable WARPHIVE_CUDA_LIBRARY names, else libcuda.so.1. Thread-safe. Error
/// unavailable says what is missing.
Result<const Driver*> open_driver(const std::string& library = {});

}  // namespace warphive::hal::cuda

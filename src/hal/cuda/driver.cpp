// SPDX-License-Identifier: Apache-2.0
#include "hal/cuda/driver.hpp"

#include <dlfcn.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>

#include "base/result.hpp"

namespace warphive::hal::cuda {
namespace {

Result<std::unique_ptr<Driver>> open(const std::string& library) {
  void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    return base::error(ErrorCode::unavailable, ErrorPhase::none,
                       "there is no NVIDIA driver ({} cannot be opened)", library);
  }
  auto driver = std::make_unique<Driver>();
  const char* missing = nullptr;
  const auto find = [&](auto& member, const char* symbol) {
    // POSIX wants functions to come this way.
    member = reinterpret_cast<std::remove_reference_t<decltype(member)>>(dlsym(handle, symbol));
    if (member == nullptr && missing == nullptr) missing = symbol;
  };
#define WARPHIVE_CUDA_FIND(member, symbol, parameters) find(driver->member, #symbol);
  WARPHIVE_CUDA_FUNCTIONS(WARPHIVE_CUDA_FIND)
#undef WARPHIVE_CUDA_FIND
  if (missing != nullptr) {
    return base::error(ErrorCode::unavailable, ErrorPhase::none,
                       "the NVIDIA driver ({}) is too old: it lacks ({})", library, missing);
  }
  // Kernels are loaded when a module is: lazily, a first launch waits for running kernels.
  setenv("CUDA_MODULE_LOADING", "EAGER", 0);
  if (const CuResult result = driver->init(0); result != CuResult::success) {
    return base::error(ErrorCode::unavailable, ErrorPhase::none,
                       "the NVIDIA driver does not start: error {}", driver->describe(result));
  }
  return driver;
}

}  // namespace

std::string Driver::describe(CuResult result) const {
  const char* name = nullptr;
  const char* text = nullptr;
  if (error_name(result, &name) != CuResult::success || name == nullptr) name = "unknown";
  if (error_string(result, &text) != CuResult::success || text == nullptr) text = "unknown";
  return fmt::format("{} ({}): {}", static_cast<int>(result), name, text);
}

Result<const Driver*> open_driver(const std::string& library) {
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<Driver>> drivers;
  std::string name = library;
  if (name.empty()) {
    const char* other = std::getenv("WARPHIVE_CUDA_LIBRARY");
    name = other != nullptr ? other : "libcuda.so.1";
  }
  const std::lock_guard lock(mutex);
  std::unique_ptr<Driver>& driver = drivers[name];
  if (driver == nullptr) {
    WARPHIVE_TRY_ASSIGN(driver, open(name));
  }
  return driver.get();
}

}  // namespace warphive::hal::cuda

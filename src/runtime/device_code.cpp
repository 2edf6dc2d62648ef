// SPDX-License-Identifier: Apache-2.0
#include "runtime/device_code.hpp"

#include <fmt/format.h>

#include <chrono>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "codegen/cache.hpp"
#include "codegen/device_compiler.hpp"
#include "kernels/host.hpp"

namespace warphive::runtime {
namespace {

using Clock = std::chrono::steady_clock;

codegen::Digest digest(const ir::Module& module, const ir::EncodedProgram& encoded,
                       const hal::DeviceInfo& info, const codegen::CompileLimits& limits) {
  return codegen::program_digest(
      module, encoded,
      fmt::format("linked for {}, up to {} {} {} {}", info.code_kind, limits.program_instructions,
                  limits.code_bytes, limits.function.instructions, limits.function.slot_records));
}

/// An entry of the cache holds the linked binary as its only object.
bool is_whole(const codegen::HostObjects& entry, const ir::Module& module) {
  return entry.objects.size() == 1 && entry.functions.size() == module.functions.size();
}

Result<codegen::HostObjects> compile(const ir::Module& module, const ir::EncodedProgram& encoded,
                                     hal::Device& device, const codegen::CompileLimits& limits) {
  codegen::DeviceOptions options;
  options.limits = limits;
  WARPHIVE_TRY_ASSIGN(const auto linker, device.create_linker(kernels::lane_registers));
  WARPHIVE_TRY(linker->add(kernels::compiled_part()));
  WARPHIVE_TRY_ASSIGN(codegen::PtxProgram program,
                      codegen::compile_ptx(module, encoded, options, [&](std::string_view unit) {
                        return linker->add(unit);
                      }));
  WARPHIVE_TRY_ASSIGN(const std::vector<std::byte> binary, linker->finish());
  const auto* first = reinterpret_cast<const char*>(binary.data());
  codegen::HostObjects made;
  made.objects.emplace_back(first, first + binary.size());
  made.functions = std::move(program.functions);
  made.resumes = std::move(program.resumes);
  made.reasons = std::move(program.reasons);
  made.ran_out = program.ran_out;
  return made;
}

}  // namespace

Result<std::shared_ptr<const DeviceCode>> make_device_code(
    const ir::Module& module, const ir::EncodedProgram& encoded,
    const std::shared_ptr<hal::Device>& device, const codegen::TierServices& services,
    Compile compiles) {
  const Clock::time_point start = Clock::now();
  auto code = std::make_shared<DeviceCode>();
  code->device = device;
  std::optional<codegen::Digest> key;
  codegen::HostObjects made;
  if (services.cache != nullptr) {
    key = digest(module, encoded, device->info(), services.limits);
    auto found = services.cache->find(*key);
    if (found && is_whole(*found, module)) {
      made = std::move(*found);
      const std::vector<char>& binary = made.objects.front();
      auto loaded = device->load(kernels::compiled_image(std::as_bytes(std::span(binary))));
      if (loaded) code->executable = std::move(*loaded);
    }
  }
  code->status.from_cache = code->executable != nullptr;
  if (code->executable == nullptr) {
    if (compiles == Compile::never) return std::shared_ptr<const DeviceCode>();
    WARPHIVE_TRY_ASSIGN(made, compile(module, encoded, *device, services.limits));
    const std::vector<char>& binary = made.objects.front();
    WARPHIVE_TRY_ASSIGN(code->executable,
                        device->load(kernels::compiled_image(std::as_bytes(std::span(binary)))));
    // A cache that cannot be written costs the next run its start, and this one nothing.
    if (services.cache != nullptr && !made.ran_out) {
      (void)services.cache->store(*key, made);
    }
  }
  WARPHIVE_TRY_ASSIGN(const std::uint64_t address,
                      code->executable->address(codegen::native_code_symbol));
  // NOLINTNEXTLINE(performance-no-int-to-ptr): a place on the device
  code->native = reinterpret_cast<const abi::NativeCode*>(std::uintptr_t{address});
  for (const codegen::Compiled compiled : made.functions) {
    ++(compiled == codegen::Compiled::no ? code->status.interpreted : code->status.functions);
  }
  code->status.reasons = std::move(made.reasons);
  code->status.state = codegen::TierState::ready;
  const std::chrono::duration<double> taken = Clock::now() - start;
  code->status.compile_seconds = taken.count();
  return std::shared_ptr<const DeviceCode>(std::move(code));
}

}  // namespace warphive::runtime

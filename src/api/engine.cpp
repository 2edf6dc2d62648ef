// SPDX-License-Identifier: Apache-2.0
#include "warphive/engine.hpp"

#include <algorithm>
#include <optional>
#include <thread>
#include <utility>

#include "api/data.hpp"
#include "base/result.hpp"
#include "hal/cpu/device.hpp"
#include "hal/cuda/device.hpp"
#include "hal/worker/device.hpp"
#include "ir/link.hpp"

namespace warphive {
namespace {

constexpr unsigned most_compile_threads = 4;

bool is_cuda(const std::string& device) {
  return device == "cuda" || (device.size() > 5 && device.starts_with("cuda:") &&
                              device.find_first_not_of("0123456789", 5) == std::string::npos);
}

runtime::Tiers tiers_of(Tier tier) {
  switch (tier) {
    case Tier::interp:
      return runtime::Tiers::interp;
    case Tier::jit:
      return runtime::Tiers::jit;
    case Tier::automatic:
      break;
  }
  return runtime::Tiers::automatic;
}

codegen::CompileLimits limits_of(const CompileLimits& from) {
  codegen::CompileLimits to;
  to.seconds = from.seconds;
  to.program_instructions = from.instructions;
  to.function.instructions = from.function_instructions;
  to.code_bytes = from.code_bytes;
  return to;
}

sys::EnvironmentOptions environment_options(const HostOptions& from, bool metered) {
  sys::EnvironmentOptions to;
  to.args = from.args;
  to.env = from.env;
  for (const auto& item : from.directories) {
    to.directories.push_back({item.host_path, item.guest_path});
  }
  for (const auto& item : from.files) to.files.push_back({item.guest_path, item.contents});
  to.stdin_path = from.stdin_path;
  to.stdin_source = from.stdin_source;
  to.seed = from.seed;
  to.clock = from.host_clock ? sys::Clock::host : sys::Clock::virtual_time;
  to.clock_start_ns = from.clock_start_ns;
  to.metered = metered;
  to.pass_through = from.pass_through;
  to.seed_host = from.seed_functions;
  return to;
}

}  // namespace

const sys::HostEntry* detail::EngineData::find(std::string_view module,
                                               std::string_view field) const {
  const std::lock_guard lock(mutex);
  for (const sys::HostEntry& entry : functions) {
    if (entry.module == module && entry.field == field) return &entry;
  }
  return nullptr;
}

namespace {

std::uint32_t ordinal_of(const std::string& name) {
  const std::size_t colon = name.find(':');
  if (colon == std::string::npos) return 0;
  constexpr std::size_t most_digits = 6;
  const std::string digits = name.substr(colon + 1);
  return digits.size() > most_digits ? ~std::uint32_t{0}
                                     : static_cast<std::uint32_t>(std::stoul(digits));
}

Result<std::shared_ptr<hal::Device>> create_cuda(const EngineOptions& options,
                                                 std::uint32_t ordinal) {
  if (options.isolation == Isolation::none) return hal::cuda::create_device({.ordinal = ordinal});
  return hal::worker::create_device({.ordinal = ordinal, .program = options.worker_program});
}

Result<std::shared_ptr<hal::Device>> open_cuda(const EngineOptions& options,
                                               const std::string& name) {
  auto device = create_cuda(options, ordinal_of(name));
  if (device) return device;
  const ErrorCode code =
      device.error().code() == ErrorCode::not_found ? ErrorCode::not_found : ErrorCode::unavailable;
  return base::error(code, ErrorPhase::none, "Device ({}) is not available: {}.", name,
                     device.error().message());
}

Result<std::shared_ptr<hal::Device>> open_cpu(const EngineOptions& options) {
  return hal::cpu::create_device({.threads = options.threads});
}

Result<std::shared_ptr<hal::Device>> open_device(const EngineOptions& options) {
  const std::string& name = options.device;
  if (is_cuda(name)) return open_cuda(options, name);
  if (name == "cpu") return open_cpu(options);
  if (name == "auto") {
    auto gpu = create_cuda(options, 0);
    return gpu || gpu.error().code() == ErrorCode::not_found ? std::move(gpu) : open_cpu(options);
  }
  return base::error(ErrorCode::not_found, ErrorPhase::none,
                     "Device ({}) is not known; there are (auto, cpu, cuda, cuda:N).", name);
}

}  // namespace

Result<std::shared_ptr<hal::Device>> detail::EngineData::live_device() const {
  const std::lock_guard lock(mutex);
  if (device->lost()) {
    // By its name: where the choice was automatic it was made.
    WARPHIVE_TRY_ASSIGN(device, open_cuda(options, device->info().name));
  }
  return device;
}

Result<Engine> Engine::create(const EngineOptions& options) {
  auto data = std::make_shared<detail::EngineData>();
  data->options = options;
  WARPHIVE_TRY_ASSIGN(data->device, open_device(options));
  if (data->options.tier != Tier::interp) {
    data->compile_queue = std::make_shared<codegen::CompileQueue>(
        std::clamp(std::thread::hardware_concurrency() / 2, 1u, most_compile_threads));
  }
  if (options.cache && data->options.tier != Tier::interp) {
    // A cache that cannot be used costs time only.
    auto cache = codegen::CodeCache::open({.directory = options.cache_directory});
    if (cache) data->cache = std::move(*cache);
  }
  data->environment = std::make_unique<sys::Environment>(sys::EnvironmentOptions{});
  WARPHIVE_TRY(data->environment->register_into(data->registry));
  sys::EnvironmentOptions with_seed;
  with_seed.seed_host = true;
  data->seed_environment = std::make_unique<sys::Environment>(with_seed);
  WARPHIVE_TRY(data->seed_environment->register_into(data->seed_registry));
  return Engine(std::move(data));
}

std::vector<DeviceInfo> Engine::devices() {
  const hal::DeviceInfo cpu = hal::cpu::describe();
  std::vector<DeviceInfo> devices = {
      {.name = cpu.name, .description = cpu.description, .available = true, .reason = {}}};
  const auto cuda = hal::cuda::describe();
  if (!cuda) {
    devices.push_back({.name = "cuda",
                       .description = "NVIDIA GPU",
                       .available = false,
                       .reason = cuda.error().message()});
    return devices;
  }
  for (const hal::DeviceInfo& device : *cuda) {
    devices.push_back(
        {.name = device.name, .description = device.description, .available = true, .reason = {}});
  }
  return devices;
}

std::string Engine::device() const {
  const std::lock_guard lock(data_->mutex);
  return data_->device->info().name;
}

Status Engine::define(std::string module, std::string field, FunctionType type,
                      HostFunction function) {
  if (!function) {
    return base::error(ErrorCode::invalid_input, ErrorPhase::host,
                       "Host function ({}.{}) is empty.", module, field);
  }
  for (const auto* types : {&type.params, &type.results}) {
    for (const ValueType value : *types) {
      if (value == ValueType::v128) {
        return base::error(ErrorCode::unsupported, ErrorPhase::host,
                           "Host function ({}.{}) has a value of type (v128).", module, field);
      }
    }
  }
  const bool taken =
      data_->registry.find(module, field) != nullptr || data_->find(module, field) != nullptr;
  if (taken) {
    return base::error(ErrorCode::invalid_input, ErrorPhase::host,
                       "Host function ({}.{}) exists already.", module, field);
  }
  ir::FunctionType internal = detail::to_internal(type);
  sys::HostFunction adapted = detail::adapt(std::move(function), internal);
  const std::lock_guard lock(data_->mutex);
  data_->functions.push_back(
      {std::move(module), std::move(field), std::move(internal), std::move(adapted)});
  return {};
}

Result<Program> Engine::link(std::span<const LinkItem> items, bool seed_functions) const {
  if (items.empty()) {
    return base::error(ErrorCode::invalid_input, ErrorPhase::link,
                       "A program needs at least one module.");
  }
  auto data = std::make_shared<detail::ProgramData>();
  std::vector<ir::LinkInput> inputs;
  for (const LinkItem& item : items) {
    inputs.push_back({&item.module.data()->lowered, item.name});
    data->items.push_back(item);
  }
  const sys::HostRegistry& registry = seed_functions ? data_->seed_registry : data_->registry;
  WARPHIVE_TRY_ASSIGN(
      ir::Module linked,
      ir::link(inputs,
               {.host_function = [&](std::string_view module,
                                     std::string_view field) -> std::optional<ir::FunctionType> {
                 const sys::HostEntry* entry = data_->find(module, field);
                 if (entry == nullptr) entry = registry.find(module, field);
                 return entry == nullptr ? std::nullopt : std::optional(entry->type);
               }}));
  WARPHIVE_TRY_ASSIGN(auto device, data_->live_device());
  WARPHIVE_TRY_ASSIGN(
      data->program,
      runtime::make_program(std::move(linked),
                            {.tiers = tiers_of(data_->options.tier),
                             .device = std::move(device),
                             .gate = data_->load_gate,
                             .services = {.cache = data_->cache,
                                          .queue = data_->compile_queue,
                                          .limits = limits_of(data_->options.compile)}}));
  data->hosts = data->program->module.host_imports;
  data->host_types = data->program->module.types;
  return Program(std::shared_ptr<const detail::ProgramData>(std::move(data)));
}

Result<Program> Engine::link(const Module& module, bool seed_functions) const {
  const LinkItem item{module, {}};
  return link({&item, 1}, seed_functions);
}

Result<Swarm> Engine::create_swarm(const SwarmOptions& options) const {
  auto data = std::make_shared<detail::SwarmData>();
  data->engine = data_;
  data->environment = std::make_unique<sys::Environment>(environment_options(options.host, true));
  data->unmetered_environment =
      std::make_unique<sys::Environment>(environment_options(options.host, false));
  WARPHIVE_TRY(data->environment->register_into(data->registry));
  WARPHIVE_TRY(data->unmetered_environment->register_into(data->unmetered_registry));
  detail::SwarmData* raw = data.get();
  runtime::HostServices services;
  services.registry = &raw->registry;
  services.unmetered = &raw->unmetered_registry;
  services.find = [engine = data_.get()](std::string_view module, std::string_view field) {
    return engine->find(module, field);
  };
  services.forget = [raw](std::uint32_t index) {
    raw->environment->release(index);
    raw->unmetered_environment->release(index);
  };
  WARPHIVE_TRY_ASSIGN(auto device, data_->live_device());
  WARPHIVE_TRY_ASSIGN(data->swarm,
                      runtime::Swarm::create(
                          std::move(device), std::move(services),
                          options.rounds ? runtime::Rounds::where_uneven : runtime::Rounds::never,
                          data_->load_gate));
  return Swarm(std::move(data));
}

}  // namespace warphive

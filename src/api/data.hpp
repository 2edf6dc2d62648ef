// SPDX-License-Identifier: Apache-2.0
// What the handles of include/warphive point to. For src/api and for tools that look inside.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/tier.hpp"
#include "guest/wasm/module.hpp"
#include "hal/device.hpp"
#include "ir/module.hpp"
#include "runtime/batch_buffers.hpp"
#include "runtime/program.hpp"
#include "runtime/swarm.hpp"
#include "sys/environment.hpp"
#include "sys/service.hpp"
#include "warphive/warphive.hpp"

namespace warphive::detail {

struct ModuleData {
  wasm::Module guest;
  ir::Module lowered;  // unlinked
};

struct ProgramData {
  std::shared_ptr<const runtime::Program> program;
  std::vector<LinkItem> items;
  std::vector<ir::HostImport> hosts;  // with types, for linking once more
  std::vector<ir::FunctionType> host_types;
};

/// The program as linked, before any optimisation: what the reference executor runs.
Result<ir::Module> linked_module(const ProgramData& program);

struct EngineData {
  EngineOptions options;
  std::shared_ptr<runtime::LoadGate> load_gate = std::make_shared<runtime::LoadGate>();
  std::shared_ptr<codegen::CodeCache> cache;             // nullptr: none
  std::shared_ptr<codegen::CompileQueue> compile_queue;  // nullptr: nothing is compiled
  // Types of the functions that every swarm has, without and with the seeds'.
  std::unique_ptr<sys::Environment> environment;
  std::unique_ptr<sys::Environment> seed_environment;
  sys::HostRegistry registry;
  sys::HostRegistry seed_registry;

  mutable std::mutex mutex;
  mutable std::shared_ptr<hal::Device> device;  // guarded by mutex
  std::deque<sys::HostEntry> functions;         // guarded by mutex; entries never move

  /// The device, or the one that takes the place of a lost one.
  [[nodiscard]] Result<std::shared_ptr<hal::Device>> live_device() const;
  [[nodiscard]] const sys::HostEntry* find(std::string_view module, std::string_view field) const;
};

struct SwarmData {
  std::shared_ptr<EngineData> engine;
  std::unique_ptr<sys::Environment> environment;
  std::unique_ptr<sys::Environment> unmetered_environment;
  sys::HostRegistry registry;
  sys::HostRegistry unmetered_registry;
  std::vector<runtime::SlotCall> calls;  // scratch of dispatch
  std::vector<std::uint64_t> args;
  std::unique_ptr<runtime::Swarm> swarm;  // last: goes first
};

struct ResultsData {
  /// `device`: whose threads make the values.
  ResultsData(runtime::Results from, hal::Device& device);
  runtime::Results results;
  runtime::Rows<Value> values;
  runtime::Rows<std::size_t> first_value;  // one more than there are results
};

ValueType to_public(ir::ValueType type);
ir::ValueType to_internal(ValueType type);
FunctionType to_public(const ir::FunctionType& type);
ir::FunctionType to_internal(const FunctionType& type);
/// The slot value, with the bits above the type's width cleared.
std::uint64_t slot_of(const Value& value);
Value value_of(ir::ValueType type, std::uint64_t slot);
/// The value in the first slots of `slots`, and those behind it; appends the slots of a value.
Value take_value(ir::ValueType type, std::span<const std::uint64_t>& slots);
/// Returns where the next value goes.
std::uint64_t* put_slots(std::uint64_t* to, const Value& value);
void append_slots(std::vector<std::uint64_t>& to, const Value& value);

/// Error invalid_input unless the value has the type; functions referred to must exist.
Status check_value(const Value& value, ir::ValueType type, std::size_t functions,
                   std::string_view what);

/// The name most like `name`, or "" where none is close.
std::string_view nearest_name(std::string_view name, const std::vector<std::string>& names);

/// Makes the runtime's form of a user's host function.
sys::HostFunction adapt(HostFunction function, const ir::FunctionType& type);

}  // namespace warphive::detail

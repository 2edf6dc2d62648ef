// SPDX-License-Identifier: Apache-2.0
// Shorthand for tests of the public interface.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/testing/modules.hpp"
#include "warphive/warphive.hpp"

namespace warphive::testing {

namespace modules = runtime::testing;

template <class T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().describe());
  return std::move(*result);
}

/// Which device the tests of capabilities use: $WARPHIVE_TEST_DEVICE, else the CPU.
inline std::string test_device() {
  const char* const name = std::getenv("WARPHIVE_TEST_DEVICE");
  return name == nullptr ? "cpu" : name;
}
inline Engine make_engine(std::uint32_t threads = 2) {
  return must(Engine::create({.device = test_device(), .threads = threads}));
}
inline Module module_of(std::string_view wasm, bool metered = true) {
  return must(Module::from_bytes(modules::bytes_of(wasm), {.metered = metered}));
}
inline Program program_of(const Engine& engine, std::string_view wasm, bool metered = true) {
  return must(engine.link(module_of(wasm, metered)));
}

/// The error's text, or "no error".
template <class T>
std::string message_of(const Result<T>& result) {
  return result ? "no error" : result.error().describe();
}
template <class T>
bool fails_with(const Result<T>& result, ErrorCode code) {
  return !result && result.error().code() == code;
}
inline bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

/// An engine, a swarm and the module `basic`.
class SwarmTest : public ::testing::Test {
 protected:
  Engine engine = make_engine();
  Program program = program_of(engine, modules::basic_wasm);
  Swarm swarm = must(engine.create_swarm());

  Function function(std::string_view name) const { return must(program.find_function(name)); }
  std::vector<InstanceId> spawn(std::uint64_t count, const SpawnOptions& options = {}) {
    return must(swarm.spawn(program, count, options));
  }
  Results call(std::span<const InstanceId> ids, std::string_view name,
               const std::vector<Value>& args = {}, std::uint64_t fuel = unlimited_fuel) {
    return must(swarm.dispatch(ids, function(name), args, fuel));
  }
};

}  // namespace warphive::testing

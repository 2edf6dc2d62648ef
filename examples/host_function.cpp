// SPDX-License-Identifier: Apache-2.0
// A program calls a function of its embedder: app.twice, from eight instances.
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <warphive/warphive.hpp>

using warphive::Value;
using warphive::ValueType;

// (module
//   (import "app" "twice" (func $twice (param i32) (result i32)))
//   (func (export "run") (param i32) (result i32) (call $twice (local.get 0))))
constexpr std::uint8_t guest[] = {0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x06, 0x01,
                                  0x60, 0x01, 0x7f, 0x01, 0x7f, 0x02, 0x0d, 0x01, 0x03, 0x61, 0x70,
                                  0x70, 0x05, 0x74, 0x77, 0x69, 0x63, 0x65, 0x00, 0x00, 0x03, 0x02,
                                  0x01, 0x00, 0x07, 0x07, 0x01, 0x03, 0x72, 0x75, 0x6e, 0x00, 0x01,
                                  0x0a, 0x08, 0x01, 0x06, 0x00, 0x20, 0x00, 0x10, 0x00, 0x0b};

int main() {
  std::atomic<int> calls{0};
  auto engine = warphive::Engine::create();
  if (!engine) return 1;
  const auto defined =
      engine->define("app", "twice", {{ValueType::i32}, {ValueType::i32}},
                     [&](std::span<warphive::HostCall* const> batch) {
                       for (warphive::HostCall* call : batch) {
                         ++calls;
                         call->set_result(0, Value::i32(2 * call->arg(0).as_i32()));
                       }
                     });
  const auto module = warphive::Module::from_bytes(std::as_bytes(std::span(guest)));
  if (!defined || !module) return 2;
  const auto program = engine->link(*module);
  auto swarm = engine->create_swarm();
  if (!program || !swarm) return 3;
  const auto ids = swarm->spawn(*program, 8);
  const auto run = program->find_function("run");
  if (!ids || !run) return 4;
  const Value arg = Value::i32(21);
  const auto results = swarm->dispatch(*ids, *run, {&arg, 1});
  if (!results) return 5;
  std::printf("%d after %d calls\n", (*results)[7].values[0].as_i32(), calls.load());
}

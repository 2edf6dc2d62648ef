// SPDX-License-Identifier: Apache-2.0
// A user's program: nothing but the installed package.
#include <warphive/warphive.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <vector>

// (module (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
constexpr std::uint8_t add_wasm[] = {
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x07, 0x01, 0x60, 0x02, 0x7f,
    0x7f, 0x01, 0x7f, 0x03, 0x02, 0x01, 0x00, 0x07, 0x07, 0x01, 0x03, 0x61, 0x64, 0x64,
    0x00, 0x00, 0x0a, 0x09, 0x01, 0x07, 0x00, 0x20, 0x00, 0x20, 0x01, 0x6a, 0x0b};

int main() {
  using warphive::Value;
  const auto engine = warphive::Engine::create();
  const auto module = warphive::Module::from_bytes(std::as_bytes(std::span(add_wasm)));
  if (!engine || !module) return 1;
  const auto program = engine->link(*module);
  auto swarm = engine->create_swarm();
  if (!program || !swarm) return 2;
  const auto ids = swarm->spawn(*program, 1000);
  const auto add = program->find_function("add");
  if (!ids || !add) return 3;
  const std::vector<Value> args = {Value::i32(40), Value::i32(2)};
  const auto results = swarm->dispatch(*ids, *add, args);
  if (!results || results->count(warphive::Exit::returned) != 1000) return 4;
  std::printf("%d\n", (*results)[999].values[0].as_i32());
  return (*results)[999].values[0].as_i32() == 42 ? 0 : 5;
}

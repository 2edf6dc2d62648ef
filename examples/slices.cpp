// SPDX-License-Identifier: Apache-2.0
// Time sharing: every instance gets a slice of fuel, those that are not done go on in the next
// round. Usage: slices fibr.wasm
#include <cstdio>
#include <warphive/warphive.hpp>

using warphive::Exit;
using warphive::Value;

int main(int argc, char** argv) {
  const auto engine = warphive::Engine::create();
  const auto module = warphive::Module::from_file(argc > 1 ? argv[1] : "fibr.wasm");
  if (!engine || !module) return 1;
  const auto program = engine->link(*module);
  auto swarm = engine->create_swarm();
  if (!program || !swarm) return 2;
  auto ids = swarm->spawn(*program, 64);
  const auto run = program->find_function("run");
  if (!ids || !run) return 3;
  std::vector<Value> args;
  for (int i = 0; i < 64; ++i) args.insert(args.end(), {Value::i32(i), Value::i32(15)});
  constexpr std::uint64_t slice = 5000;
  auto results = swarm->dispatch(*ids, *run, args, slice);
  int rounds = 1;
  while (results && results->count(Exit::out_of_fuel) != 0) {
    std::vector<warphive::InstanceId> rest;
    for (std::size_t i = 0; i < results->size(); ++i) {
      if ((*results)[i].exit == Exit::out_of_fuel) rest.push_back((*results)[i].id);
    }
    results = swarm->resume(rest, slice);
    ++rounds;
  }
  if (!results) return 4;
  std::printf("all %zu finished in %d rounds\n", ids->size(), rounds);
}
